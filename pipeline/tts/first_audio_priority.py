"""Turns that are being heard let those go first whose first sound somebody waits for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import anyio

ENOUGH_S: Final = 4.0
"""Seconds of unheard sound up to which a turn goes on at once."""
_MOST_S: Final = 1.0
"""A sentence gives way for so long at most: turns end long before they are heard out, whoever comes."""
_LOOK_S: Final = 0.25
"""Seconds between looks: the unheard sound may shrink at once when a sentence fails or is skipped."""


class FirstAudioPriority:
    """Among the turns of one process."""

    def __init__(self) -> None:
        self._awaited = 0
        self._all_heard = anyio.Event()

    @contextmanager
    def awaited(self) -> Iterator[Callable[[], None]]:
        """A turn's first sound is, until what this yields is called; at the latest until the end."""
        if self._awaited == 0:
            self._all_heard = anyio.Event()
        self._awaited += 1
        waits = True

        def heard() -> None:
            nonlocal waits
            if waits:
                waits = False
                self._awaited -= 1
                if self._awaited == 0:
                    self._all_heard.set()

        try:
            yield heard
        finally:
            heard()

    async def yield_to_waiting(self, spare_s: Callable[[], float]) -> None:
        """Return when no first sound is awaited, `spare_s()` of sound is not enough, or a second is over."""
        with anyio.move_on_after(_MOST_S):
            while self._awaited and (more_s := spare_s() - ENOUGH_S) > 0:
                with anyio.move_on_after(min(more_s, _LOOK_S)):
                    await self._all_heard.wait()
