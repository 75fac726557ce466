"""Documents: read, cut, embedded, kept, and searched for the passages that answer a question."""
