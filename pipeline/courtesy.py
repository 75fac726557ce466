"""Turns that are being heard let those go first of which nobody has heard anything yet."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import anyio

ENOUGH_S: Final = 4.0
"""Whoever has no more sound than this before them goes on at once: so long a dead gateway is not missed."""
_LOOK_S: Final = 0.5
"""What is still to be heard may become less all at once: a sentence fails, or is skipped."""


class Courtesy:
    """Among the turns of one process. It costs nobody a sound: only what was made early is made later."""

    def __init__(self) -> None:
        self._unheard = 0
        self._all_heard = anyio.Event()

    @contextmanager
    def unheard(self) -> Iterator[Callable[[], None]]:
        """Nobody has heard anything of a turn, until what this yields is called; at the latest at the end."""
        if self._unheard == 0:
            self._all_heard = anyio.Event()
        self._unheard += 1
        waits = True

        def heard() -> None:
            nonlocal waits
            if waits:
                waits = False
                self._unheard -= 1
                if self._unheard == 0:
                    self._all_heard.set()

        try:
            yield heard
        finally:
            heard()

    async def give_way(self, spare_s: Callable[[], float]) -> None:
        """Return when nobody waits for a first sound, or `spare_s()`, sound not heard yet, is not enough."""
        while self._unheard and (more_s := spare_s() - ENOUGH_S) > 0:
            with anyio.move_on_after(min(more_s, _LOOK_S)):
                await self._all_heard.wait()
