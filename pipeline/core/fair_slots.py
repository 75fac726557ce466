"""Places that are given out in turn: to one principal after another, however many wait for each."""

from collections import OrderedDict, deque
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio

from schemas.errors import GatewayBusy


class FairPlaces:
    """A semaphore that is fair between principals. One thread only."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: OrderedDict[str, deque[anyio.Event]] = OrderedDict()
        """The principal whose turn is next comes first."""

    @asynccontextmanager
    async def place(self, principal: str) -> AsyncGenerator[None, None]:
        """Wait for a place, and have it within the block."""
        await self._take(principal)
        try:
            yield
        finally:
            self._pass_on()

    @asynccontextmanager
    async def soon(self, principal: str, *, wait_s: float, busy: str) -> AsyncGenerator[None, None]:
        """As `place`. Raises GatewayBusy, in the words of `busy`, where the wait would be longer."""
        async with AsyncExitStack() as stay:
            with anyio.move_on_after(wait_s) as waiting:
                await stay.enter_async_context(self.place(principal))
            if waiting.cancelled_caught:
                raise GatewayBusy(busy, retry_after_s=wait_s)
            yield

    def waiting(self, principal: str) -> int:
        """So many of this principal's wait for a place."""
        return len(self._waiting.get(principal, ()))

    async def _take(self, principal: str) -> None:
        if self._free:
            self._free -= 1
            return
        mine = anyio.Event()
        self._waiting.setdefault(principal, deque()).append(mine)
        try:
            await mine.wait()
        except BaseException:
            if mine.is_set():  # it was given to us in the moment in which we left
                self._pass_on()
            else:
                self._leave(principal, mine)
            raise

    def _leave(self, principal: str, event: anyio.Event) -> None:
        waiting = self._waiting[principal]
        waiting.remove(event)
        if not waiting:
            del self._waiting[principal]

    def _pass_on(self) -> None:
        if not self._waiting:
            self._free += 1
            return
        principal, waiting = next(iter(self._waiting.items()))
        event = waiting.popleft()
        if waiting:
            self._waiting.move_to_end(principal)
        else:
            del self._waiting[principal]
        event.set()
