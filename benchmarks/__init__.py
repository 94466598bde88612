"""Speeds as ratios. As the command does, they take memory in large pages; the peers run as they come."""

from sqa_core import environment

environment.large_pages()
