"""When did which sound come in?"""

from collections import deque
from typing import Final

_REMEMBERED: Final = 2_000


class Arrivals:
    """Of one input, as far back as anybody asks. Pure."""

    def __init__(self) -> None:
        self._arrivals: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)

    def note(self, at_ms: int, time: float) -> None:
        """The sound up to `at_ms` is there."""
        self._arrivals.append((at_ms, time))

    def of(self, ms: int, otherwise: float) -> float:
        """When the sound at `ms` came in."""
        return next((arrived for at_ms, arrived in self._arrivals if at_ms >= ms), otherwise)
