"""Idempotency keys of our own."""


def internal_key(*parts: object) -> str:
    """A key that no client can send: theirs have no blanks."""
    return " ".join(map(str, ("rhapsode", *parts)))
