"""Retrieval: documents are read, cut, embedded, stored, searched and cited."""
