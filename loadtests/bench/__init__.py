"""`make bench` and `make bench-check`: every figure beside its floor, and did it get worse?."""
