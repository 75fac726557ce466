"""Zeros of an engine that has just started take no memory."""

import mmap
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engines.llm.zero_pages import _without, give_back_zeros, mapped

SIZE = 160 << 20
PAGE = mmap.PAGESIZE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists its mappings")


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def test_only_long_zeros_of_new_memory_are_given_back_and_they_read_as_zeros() -> None:
    with mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as old:
        old.write(bytes(SIZE))
        before = mapped()
        with mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as new:
            new.write(bytes(SIZE))
            places = (0, PAGE - 1, 7 * PAGE + 5, SIZE // 2, SIZE - 1)
            for place in places:
                new[place] = 1
            full = resident()
            assert give_back_zeros(before) == SIZE - 10 * PAGE  # six zero pages lie between two others
            assert full - resident() > SIZE - (8 << 20)
            assert [new[place] for place in places] == [1] * len(places)
            assert sum(new[at : at + (1 << 20)].count(b"\1") for at in range(0, SIZE, 1 << 20)) == 5
            new[9 * PAGE] = 2
            assert new[9 * PAGE] == 2


RANGES = st.lists(st.integers(0, 60), unique=True, max_size=12).map(
    lambda points: [(a, b) for a, b in zip(*[iter(sorted(points))] * 2, strict=False)]
)


@given(RANGES, RANGES)
def test_ranges_mapped_before_are_left_out_byte_by_byte(
    now: list[tuple[int, int]], before: list[tuple[int, int]]
) -> None:
    def places(ranges: list[tuple[int, int]]) -> list[int]:
        return [at for start, end in ranges for at in range(start, end)]

    assert places(_without(now, before)) == [at for at in places(now) if at not in set(places(before))]
