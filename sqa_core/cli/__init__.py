"""The `sqa` command: one file per group of commands."""
