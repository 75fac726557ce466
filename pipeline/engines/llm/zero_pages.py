"""Memory that an engine fills with zeros when it starts goes back to the system until the engine uses it."""

import ctypes
import mmap
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

_LARGE: Final = 128 << 20
"""Bytes of a mapping that is looked at. An arena of the C library, which other threads share, has half."""
_STEP: Final = 4 << 20
_RUN: Final = 2 << 20
"""Zeros in a row that are given back. Memory that another thread has just begun to write has less."""
_PRESENT: Final = np.uint64(1 << 63)
"""Of an entry of /proc/self/pagemap: the page takes memory (proc_pid_pagemap(5))."""
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
    """Gives back zeros of large memory that is mapped now and was not `before`; returns their bytes.

    Only runs of 2 MB and more whose pages take memory are given back: stacks and memory that is not yet
    in use are left alone. A page that is given back takes no memory, and reads as zeros until it is
    written (madvise(2), MADV_DONTNEED). The caller sees to it that nobody writes to that memory
    meanwhile. Raises OSError where the process may not read its own memory.
    """
    large = [(start, end) for start, end in _without(mapped(), before) if end - start >= _LARGE]
    if not large:
        return 0
    with (
        open("/proc/self/mem", "rb", buffering=0) as memory,
        open("/proc/self/pagemap", "rb", buffering=0) as pagemap,
    ):
        return sum(
            _give_back(memory.fileno(), pagemap.fileno(), at, min(at + _STEP, end))
            for start, end in large
            for at in range(start, end, _STEP)
        )


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


def _give_back(memory: int, pagemap: int, start: int, end: int) -> int:
    entries = np.frombuffer(
        os.pread(pagemap, (end - start) // mmap.PAGESIZE * 8, start // mmap.PAGESIZE * 8), np.uint64
    )
    content = np.frombuffer(os.pread(memory, end - start, start), np.uint64).reshape(len(entries), -1)
    zero = (entries & _PRESENT != 0) & ~content.any(axis=1)
    edges = np.flatnonzero(np.diff(zero, prepend=False, append=False)).reshape(-1, 2) * mmap.PAGESIZE
    freed = 0
    for first, last in edges.tolist():
        if last - first >= _RUN:
            _madvise(ctypes.c_void_p(start + first), ctypes.c_size_t(last - first), mmap.MADV_DONTNEED)
            freed += last - first
    return freed


def _madvise(address: ctypes.c_void_p, size: ctypes.c_size_t, advice: int) -> None:
    """Memory that cannot be given back is kept: nothing depends on it."""
    ctypes.CDLL(None).madvise(address, size, advice)
