"""Corpora: what can be had, where it lies, and its manifest. One table says what there is (`registry.CORPORA`)."""
