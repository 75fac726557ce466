"""The `rhapsode` command: one module for each group of commands."""
