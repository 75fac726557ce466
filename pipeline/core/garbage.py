"""Collections of garbage that stop a process for a short time only, however much it holds."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal

_LONG_S: Final = 0.03
"""Objects at which a full collection has looked for so long are left out of the next ones. With a larger
value collections take longer; with a smaller one cycles of what was alive then are found later."""
_ALL_S: Final = 900.0
"""So often a full collection looks at everything, and finds the cycles that were left out before."""
_OLDEST: Final = 2


@contextmanager
def short_collections(clock_s: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """Within the block, objects that were there when a full collection took long are not looked at again by
    the next ones, which would all take as long: a gateway answers nobody meanwhile. Objects that are there on
    entering are left out as well. Objects without cycles go when nobody refers to them, as ever.
    """
    began_s = looked_s = clock_s()

    def follow(phase: Literal["start", "stop"], info: dict[str, int]) -> None:
        nonlocal began_s, looked_s
        if info["generation"] != _OLDEST:
            return
        now_s = clock_s()
        if phase == "start":
            began_s = now_s
            if now_s - looked_s >= _ALL_S:
                looked_s = now_s
                gc.unfreeze()
        elif now_s - began_s >= _LONG_S:
            gc.freeze()

    gc.collect()
    gc.freeze()
    gc.callbacks.append(follow)
    try:
        yield
    finally:
        gc.callbacks.remove(follow)
        gc.unfreeze()
