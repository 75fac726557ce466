"""A small simulation of sessions on machines: what saturates first, and when listeners begin to notice."""
