"""Time that a test owns."""


class HandClock:
    """Satisfies Clock; moves when it is told to."""

    def __init__(self) -> None:
        self._seconds = 1_000.0

    def advance(self, seconds: float) -> None:
        self._seconds += seconds

    def now_ms(self) -> int:
        return round(self._seconds * 1_000)

    def monotonic(self) -> float:
        return self._seconds
