"""Memory that an engine fills with zeros when it starts goes back to the system until the engine uses it."""

import ctypes
import mmap
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

_LARGE: Final = 128 << 20
"""Bytes of a mapping that is looked at. An arena of the C library, which other threads share, has half."""
_STEP: Final = 16 << 20
Range = tuple[int, int]
"""Address of the first byte, and of the first one behind it."""


def mapped() -> list[Range]:
    """Private anonymous memory of this process that can be written, by address. Empty outside Linux."""
    if sys.platform != "linux":
        return []
    lines = (line.split() for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines())
    return [_range(words[0]) for words in lines if words[1] == "rw-p" and words[4] == "0"]


def _range(text: str) -> Range:
    start, _, end = text.partition("-")
    return int(start, 16), int(end, 16)


def give_back_zeros(before: Sequence[Range]) -> int:
    """Gives back the zero pages of large memory that is mapped now and was not `before`; returns their bytes.

    A page that is given back takes no memory, and reads as zeros until it is written (madvise(2),
    MADV_DONTNEED). The caller sees to it that nobody writes to that memory meanwhile.
    """
    freed = 0
    for start, end in _without(mapped(), before):
        if end - start >= _LARGE:
            freed += sum(_give_back(at, min(at + _STEP, end)) for at in range(start, end, _STEP))
    return freed


def _without(ranges: Sequence[Range], others: Sequence[Range]) -> list[Range]:
    """The parts of the ranges that are in none of the others; both are in order."""
    parts: list[Range] = []
    for start, end in ranges:
        at = start
        for first, last in others:
            if last > at and first < end:
                parts.append((at, max(at, first)))
                at = last
        parts.append((at, end))
    return parts


def _give_back(start: int, end: int) -> int:
    memory = memoryview((ctypes.c_char * (end - start)).from_address(start))
    zero = ~np.frombuffer(memory, np.uint64).reshape(-1, mmap.PAGESIZE // 8).any(axis=1)
    edges = np.flatnonzero(np.diff(zero, prepend=False, append=False)).reshape(-1, 2)
    for first, last in edges.tolist():
        address, size = start + first * mmap.PAGESIZE, (last - first) * mmap.PAGESIZE
        _madvise(ctypes.c_void_p(address), ctypes.c_size_t(size), mmap.MADV_DONTNEED)
    return int(zero.sum()) * mmap.PAGESIZE


def _madvise(address: ctypes.c_void_p, size: ctypes.c_size_t, advice: int) -> None:
    """Memory that cannot be given back is kept: nothing depends on it."""
    ctypes.CDLL(None).madvise(address, size, advice)
