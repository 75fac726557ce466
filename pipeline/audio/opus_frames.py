"""Opus packets of several frames, taken apart into packets of one (RFC 6716, section 3.2).

FFmpeg's own decoder reads a short frame of the SILK layer on into the frame behind it, and crackles.
"""

from typing import Final

from pipeline.audio.opus import packet_us

_LONGEST_US: Final = 120_000
_VARIABLE, _PADDED, _COUNT = 0x80, 0x40, 0x3F


def single_frames(packet: bytes) -> list[bytes]:
    """The packets of one frame each that say the same. Raises ValueError where it is no Opus packet."""
    if not 0 < packet_us(packet) <= _LONGEST_US:
        raise ValueError("No Opus packet has this length.")
    code = packet[0] & 3
    if code == 0:
        return [packet]
    head, frames = bytes([packet[0] & ~3]), packet[1:]
    if code == 1:
        sizes = _equal(len(frames), 2)
    elif code == 2:
        size, frames = _length(frames)
        sizes = [size, len(frames) - size]
    else:
        sizes, frames = _counted(packet)
    if min(sizes) < 0 or sum(sizes) != len(frames):
        raise ValueError("An Opus packet ends inside a frame.")
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    return [head + frames[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def _counted(packet: bytes) -> tuple[list[int], bytes]:
    """Lengths of the frames of a packet of code 3, and the frames themselves."""
    kind, frames = packet[1], packet[2:]
    count = kind & _COUNT
    padding = 0
    while kind & _PADDED and frames:
        more, frames = frames[0], frames[1:]
        padding += min(more, 254)
        if more < 255:
            break
    sizes: list[int] = []
    if kind & _VARIABLE:
        for _ in range(count - 1):
            size, frames = _length(frames)
            sizes.append(size)
    frames = frames[: max(0, len(frames) - padding)]
    return [*sizes, len(frames) - sum(sizes)] if sizes else _equal(len(frames), count), frames


def _equal(size: int, count: int) -> list[int]:
    return [size // count] * count


def _length(data: bytes) -> tuple[int, bytes]:
    """The length with which `data` begins, and what follows; cut short, a length that is too large."""
    if not data or (data[0] >= 252 and len(data) < 2):
        return 1_276, b""
    return (data[0], data[1:]) if data[0] < 252 else (data[0] + 4 * data[1], data[2:])
