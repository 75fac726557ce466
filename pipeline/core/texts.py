"""Texts that grow or came in halves, and keys that no client can send."""

import io


class GrowingText:
    """Adding a piece costs what the piece has: a string would be copied with each of a million."""

    def __init__(self, text: str = "") -> None:
        self._text = io.StringIO(newline="")  # line ends stay as they are
        self._chars = 0
        self.add(text)

    def __len__(self) -> int:
        return self._chars

    def add(self, text: str) -> None:
        """Puts `text` at the end."""
        self._text.seek(0, io.SEEK_END)
        self._text.write(text)
        self._chars += len(text)

    def piece(self, start: int, end: int) -> str:
        """Characters [start, end), as far as they are there; `start` is not negative."""
        self._text.seek(start)
        return self._text.read(max(0, end - start))


def joined(text: str) -> str:
    """Characters outside the basic plane may come in two halves, as JSON and UTF-16 write them.

    Halves that follow each other are one character again; what stays half is replaced.
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def internal_key(*parts: object) -> str:
    """An idempotency key that no client can send: theirs have no blanks."""
    return " ".join(map(str, ("rhapsode", *parts)))
