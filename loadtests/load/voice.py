"""What is said into a line, so that a line that moves loses none of it. Pure."""

from typing import Any, Final

from loadtests.speech import PER_MS

PIECE_MS: Final = 2_000
"""At most in one frame: a server takes no frames of any size, and a line may have been away for long."""


class Voice:
    """What is said into a line, kept until the server has it: a line that moves goes on from there."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._kept = bytearray()
        self._from = 0
        """Where in the input they begin."""
        self._told: int | None = None
        """Up to where in the input this connection has it; None: it has not said from where on."""

    def opening(self) -> dict[str, Any]:
        """What opens it, or opens it anew; sound is kept back until the server says from where on."""
        self._told = None
        return {"type": "input.open", "input": self._name}

    def ready(self, from_ms: int) -> None:
        """The server has all before that."""
        self.acknowledged(from_ms)
        self._told = self._from

    def acknowledged(self, ms: int) -> None:
        """Before `ms` nothing will be wanted again."""
        done = min(len(self._kept), max(0, ms * PER_MS - self._from))
        del self._kept[:done]
        self._from += done
        if self._told is not None:
            self._told = max(self._told, self._from)

    def say(self, pcm: bytes) -> None:
        self._kept += pcm

    def untold(self) -> bytes:
        """The next piece for this connection, which has been told it then; empty: there is none now."""
        if self._told is None:
            return b""
        begins = self._told - self._from
        piece = bytes(self._kept[begins : begins + PIECE_MS * PER_MS])
        self._told += len(piece)
        return piece
