"""The `sqa` command: one file a group of commands."""
