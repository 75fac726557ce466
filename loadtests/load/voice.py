"""What is said into a line, so that a line that moves loses none of it. Pure."""

from typing import Any

from loadtests.speech import PER_MS


class Voice:
    """What is said into a line, kept until the server has it: a line that moves goes on from there."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._kept = bytearray()
        self._from = 0
        """Where in the input they begin."""
        self._ready = False

    def opening(self) -> dict[str, Any]:
        """What opens it, or opens it anew; sound is kept back until the server says from where on."""
        self._ready = False
        return {"type": "input.open", "input": self._name}

    def ready(self, from_ms: int) -> bytes:
        """What has been said from there on, to be sent (again)."""
        self.acknowledged(from_ms)
        self._ready = True
        return bytes(self._kept)

    def acknowledged(self, ms: int) -> None:
        """Before `ms` nothing will be wanted again."""
        done = min(len(self._kept), max(0, ms * PER_MS - self._from))
        del self._kept[:done]
        self._from += done

    def say(self, pcm: bytes) -> bool:
        """Whether it can be sent now."""
        self._kept += pcm
        return self._ready
