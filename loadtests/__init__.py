"""A view from outside: clients and benchmarks that import schemas only (and engines, for floors)."""
