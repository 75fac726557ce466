"""The benchmark: its arithmetic, its rows in small, what it keeps, and how it complains."""
