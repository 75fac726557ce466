"""The ground under it: command line, local cluster, configuration checks."""
