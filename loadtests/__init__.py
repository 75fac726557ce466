"""A stranger's view: clients and benchmarks that import schemas only (and engines, for floors)."""
