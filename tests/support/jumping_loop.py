"""An event loop whose time a test owns: it jumps to what comes next instead of waiting for it."""

import asyncio
import selectors


class _Jumping(selectors.DefaultSelector):
    """A selector that lets time pass at once, by as much as the loop would wait."""

    def __init__(self) -> None:
        super().__init__()
        self.s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(None if timeout is None else 0)
        if not ready and timeout is not None:
            self.s += max(0.0, timeout)
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """For tests without sockets and threads: with those it would be their time that is skipped."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.s
