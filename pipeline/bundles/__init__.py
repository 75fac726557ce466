"""Sessions as files: everything of one session in a ZIP that another server, or any tool, can read."""
