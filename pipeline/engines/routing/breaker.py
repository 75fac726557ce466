"""A circuit breaker: a server that keeps failing is left alone for a while, then tried by one request."""

from typing import Literal

from pipeline.core.clock import Clock


class Breaker:
    """Opens after `failures` in a row, for `reset_s`; then half open, until one request has shown more."""

    def __init__(self, failures: int, reset_s: float, clock: Clock) -> None:
        self._most = failures
        self._reset_s = reset_s
        self._clock = clock
        self._failures = 0
        self._opened_at: float | None = None
        self._trial: BreakerCall | None = None

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        if self._opened_at is None:
            return "closed"
        return "open" if self._clock.monotonic() - self._opened_at < self._reset_s else "half-open"

    def admit(self) -> "BreakerCall | None":
        """Leave to ask the server, or None. Half open, one request at a time gets it."""
        if self.state == "closed":
            return BreakerCall(self)
        if self.state == "open" or self._trial is not None:
            return None
        self._trial = BreakerCall(self)
        return self._trial

    def record(self, visit: "BreakerCall", *, well: bool) -> None:
        """What a visit found. Those that began before the breaker opened cannot keep it open longer."""
        if well:
            self._failures, self._opened_at = 0, None
            return
        self._failures += 1
        opens = self._opened_at is None and self._failures >= self._most
        if opens or visit is self._trial:
            self._opened_at = self._clock.monotonic()

    def forget(self, visit: "BreakerCall") -> None:
        if visit is self._trial:
            self._trial = None


class BreakerCall:
    """One request's leave: report what it found, if anything, and always `end` it."""

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker

    def succeeded(self) -> None:
        self._breaker.record(self, well=True)

    def failed(self) -> None:
        self._breaker.record(self, well=False)

    def end(self) -> None:
        self._breaker.forget(self)
