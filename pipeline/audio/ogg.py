"""Opus packets in an Ogg file (RFC 3533 and RFC 7845)."""

import zlib
from collections.abc import Sequence
from typing import Final

from pipeline.audio.chapter_tags import Chapter, ogg_comments
from pipeline.audio.opus import PACKET_MS, RATE

_PACKETS_PER_PAGE: Final = 40
"""At most 1,275 bytes each, so at most 240 of a page's 255 segments."""
_GRANULES: Final = 48 * PACKET_MS
_SERIAL: Final = 0x52485053
_BEGIN, _END = 2, 4
_MIRRORED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class OggPages:
    """A file in the making: each push is a page, or several.

    The pre-skip is zero: the codec's delay is part of our audio, so times in the file are those of the log.
    """

    def __init__(self, chapters: Sequence[Chapter] = ()) -> None:
        self._chapters = chapters
        self._number = 0
        self._heard = 0

    def push(self, packets: list[bytes]) -> bytes:
        """The next pages; the first time the header with them."""
        begin = self._begin()
        starts = range(0, len(packets), _PACKETS_PER_PAGE)
        return begin + b"".join(self._next(packets[at : at + _PACKETS_PER_PAGE], 0) for at in starts)

    def finish(self) -> bytes:
        """The last page, which is empty."""
        return self._begin() + self._next([], _END)

    def _begin(self) -> bytes:
        if self._number:
            return b""
        self._number = 2
        first = _page([_head()], number=0, granule=0, flags=_BEGIN)
        return first + _page([_tags(ogg_comments(self._chapters))], number=1, granule=0, flags=0)

    def _next(self, packets: list[bytes], flags: int) -> bytes:
        self._heard += len(packets)
        self._number += 1
        return _page(packets, number=self._number - 1, granule=self._heard * _GRANULES, flags=flags)


def _head() -> bytes:
    return b"OpusHead\x01\x01" + bytes(2) + RATE.to_bytes(4, "little") + bytes(3)


def _tags(comments: list[bytes]) -> bytes:
    counted = [len(text).to_bytes(4, "little") + text for text in (b"rhapsode", *comments)]
    return b"OpusTags" + counted[0] + len(comments).to_bytes(4, "little") + b"".join(counted[1:])


def _page(packets: list[bytes], *, number: int, granule: int, flags: int) -> bytes:
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    start = b"OggS\x00" + bytes([flags]) + granule.to_bytes(8, "little") + _SERIAL.to_bytes(4, "little")
    start += number.to_bytes(4, "little")
    rest = bytes([len(lacing)]) + lacing + b"".join(packets)
    return start + _checksum(start + bytes(4) + rest).to_bytes(4, "little") + rest


def _checksum(page: bytes) -> int:
    """Ogg's CRC-32: zlib's polynomial with the bits the other way round, and nothing inverted."""
    crc = zlib.crc32(page.translate(_MIRRORED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{crc:032b}"[::-1], 2)
