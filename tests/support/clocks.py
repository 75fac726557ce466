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


class Hours:
    """A Clock that goes on only when somebody sleeps, or when it is told to."""

    def __init__(self) -> None:
        self.s = 0.0

    def now_ms(self) -> int:
        return int(self.s * 1_000)

    def monotonic(self) -> float:
        return self.s

    async def sleep(self, seconds: float) -> None:
        self.s += seconds
