"""Drain of a gateway: it is asked to leave, sends its connections on, and waits until they have left."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import anyio

from schemas.errors import GatewayLeaving
from schemas.settings.limit_settings import LeavingSettings

_ALONE_S: Final = 1.0
"""Seconds that clients wait before they look again, where no other gateway is there."""


class Drain:
    """Asked for once, never taken back. Every connection that lasts registers as `guest`."""

    def __init__(self, settings: LeavingSettings) -> None:
        self.settings = settings
        self.why = ""
        """Empty: the gateway was not asked to leave, and nothing has broken."""
        self.over = False
        """All sessions and connections are elsewhere, or cannot be here any more."""
        self.closed = False
        """The gateway's resources are closed."""
        self.alone = False
        """There is no other gateway that stays."""
        self.guests = 0
        """Connections that last."""
        self._asked = anyio.Event()
        self._emptied = anyio.Event()

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    @property
    def after_s(self) -> float:
        """When clients should look for another gateway."""
        return _ALONE_S if self.alone else 0.0

    def ask(self, why: str) -> None:
        """Go. Asking again changes nothing."""
        if not self.asked:
            self.why = why
            self._asked.set()

    def close(self, why: str) -> None:
        """Closes the gateway for commands, after a drain or because a part of it broke."""
        self.ask(why)
        self.over = self.closed = True

    def check_closed(self) -> None:
        """Raises GatewayLeaving: neither commands nor questions are taken any more."""
        if self.closed:
            raise GatewayLeaving("this gateway has gone; try again", retry_after_s=_ALONE_S)

    async def wait(self) -> None:
        """Return when we have been asked to go."""
        await self._asked.wait()

    async def leave_signal(self) -> None:
        """Return when it is time for one guest to be sent away: not all come to the others at once."""
        await self._asked.wait()
        await anyio.sleep(random.uniform(0, self.settings.spread_s))

    def check(self) -> None:
        """Raises GatewayLeaving: connections that last must not begin here."""
        if self.asked:
            raise GatewayLeaving("this gateway is leaving; try again", retry_after_s=max(1.0, self.after_s))

    @contextmanager
    def guest(self) -> Iterator[None]:
        """A connection that lasts, for as long as it does."""
        self.guests += 1
        try:
            yield
        finally:
            self.guests -= 1
            if not self.guests:
                self._emptied.set()

    async def empty(self) -> None:
        """Return when no guest is left."""
        while self.guests:
            self._emptied = anyio.Event()
            await self._emptied.wait()
