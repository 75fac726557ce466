"""HTTP clients of engines on other servers."""
