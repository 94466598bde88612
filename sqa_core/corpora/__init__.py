"""Corpora: how to get them, where they are, and their manifests. `registry.CORPORA` lists them."""
