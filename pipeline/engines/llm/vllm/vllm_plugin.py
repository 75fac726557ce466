"""Plugin that vLLM loads in each of its processes: see the entry points in pyproject.toml."""

import multiprocessing
import os
from multiprocessing.process import BaseProcess
from threading import Thread


def end_with_parent() -> None:
    """An engine whose replica was killed would go on, and keep the GPU's memory from the next replica."""
    parent = multiprocessing.parent_process()
    if parent is not None:  # None: this is the replica itself
        Thread(target=_follow, args=(parent,), name="end-with-parent", daemon=True).start()


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
