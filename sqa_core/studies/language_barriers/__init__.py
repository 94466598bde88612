"""Chapter: cross-lingual speech quality, NISQA against AST (paper 000)."""
