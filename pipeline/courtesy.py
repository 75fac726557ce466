"""Whoever is being heard lets those go first who have heard nothing yet."""

from collections.abc import Callable
from typing import Final

import anyio

_ENOUGH_S: Final = 4.0
"""Whoever has less sound than this before them goes on at once: a gateway that dies is replaced within it."""
_LOOK_S: Final = 0.1


class Courtesy:
    """The turns of this process that nobody has heard anything of. Pure but for waiting."""

    def __init__(self) -> None:
        self._unheard = 0
        self._all_heard = anyio.Event()

    def begins(self) -> Callable[[], None]:
        """A turn does; call what is returned when it is heard or over, more than once if need be."""
        if self._unheard == 0:
            self._all_heard = anyio.Event()
        self._unheard += 1
        open_turns = [1]

        def heard() -> None:
            if open_turns:
                open_turns.clear()
                self._unheard -= 1
                if self._unheard == 0:
                    self._all_heard.set()

        return heard

    async def give_way(self, spare_s: Callable[[], float]) -> None:
        """Return when nobody waits for a first sound, or when `spare_s()` is not enough any more."""
        while self._unheard and spare_s() > _ENOUGH_S:
            with anyio.move_on_after(_LOOK_S):
                await self._all_heard.wait()
