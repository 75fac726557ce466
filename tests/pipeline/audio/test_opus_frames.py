"""A packet of several frames says what packets of one frame say, however it is laid out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audio.opus import packet_us, single_frames

TOC = 9 << 3
"""SILK of 20 ms: six of them are 120 ms."""
FRAMES = st.lists(st.binary(max_size=1_275), min_size=1, max_size=6)


def length(frame: bytes) -> bytes:
    size = len(frame)
    return bytes([size] if size < 252 else [252 + size % 4, (size - 252 - size % 4) // 4])


def counted(frames: list[bytes], padding: int | None, *, variable: bool) -> bytes:
    kind = len(frames) | 0x80 * variable | 0x40 * (padding is not None)
    told = b"" if padding is None else b"\xff" * (padding // 254) + bytes([padding % 254])
    lengths = b"".join(map(length, frames[:-1])) if variable else b""
    return bytes([TOC | 3, kind]) + told + lengths + b"".join(frames) + bytes(padding or 0)


def singles(frames: list[bytes]) -> list[bytes]:
    return [bytes([TOC]) + frame for frame in frames]


@given(FRAMES, st.none() | st.integers(0, 600))
def test_frames_of_any_lengths(frames: list[bytes], padding: int | None) -> None:
    assert single_frames(counted(frames, padding, variable=True)) == singles(frames)


@given(st.binary(max_size=1_275), st.integers(1, 6), st.none() | st.integers(0, 600))
def test_frames_of_one_length(frame: bytes, count: int, padding: int | None) -> None:
    frames = [frame] * count
    assert single_frames(counted(frames, padding, variable=False)) == singles(frames)


@given(st.binary(max_size=1_275), st.binary(max_size=1_275))
def test_two_frames(one: bytes, two: bytes) -> None:
    assert single_frames(bytes([TOC | 2]) + length(one) + one + two) == singles([one, two])
    assert single_frames(bytes([TOC | 1]) + one + one) == singles([one, one])


@given(st.binary(max_size=3_000))
def test_other_bytes_are_refused_or_as_long_as_they_say(packet: bytes) -> None:
    try:
        parts = single_frames(packet)
    except ValueError:
        return
    assert sum(map(packet_us, parts)) == packet_us(packet) <= 120_000
    assert len(b"".join(parts)) <= len(packet) + len(parts)


@pytest.mark.parametrize("packet", ["", "4b", "4b00", "4b07", "4b8205", "4afc", "49000000", "4bc2ff"])
def test_a_packet_that_is_cut_short_or_too_long_is_refused(packet: str) -> None:
    with pytest.raises(ValueError, match="Opus"):
        single_frames(bytes.fromhex(packet))
