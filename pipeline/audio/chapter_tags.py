"""Chapters of an audio file, as players read them: in Ogg by comments, in MP3 by an ID3 tag."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_OGG_BYTES: Final = 60_000
"""Of all chapters, so that the header packet fits one page (255 segments of 255 bytes)."""
_OGG_KEYS: Final = 50
"""Bytes of one chapter beside its title."""
_OGG_MOST: Final = 999
"""The numbers have three digits."""
_ID3_MOST: Final = 255
"""A table of contents counts its entries in one byte."""
_ID3_TITLE: Final = 200
_LATEST_MS: Final = 2**32 - 1
"""Of a place in four bytes: 49 days."""
_NO_OFFSET: Final = b"\xff\xff\xff\xff"


@dataclass(frozen=True, slots=True)
class Chapter:
    """Part of a file from `start_ms` on, in milliseconds of the whole file."""

    start_ms: int
    end_ms: int
    title: str


def ogg_comments(chapters: Sequence[Chapter]) -> list[bytes]:
    """Comments of the Opus header: Xiph's "Chapter Extension", which FFmpeg reads.

    More than 999 chapters have none.
    """
    if not 0 < len(chapters) <= _OGG_MOST:
        return []
    longest = max(1, _OGG_BYTES // len(chapters) - _OGG_KEYS)
    comments: list[bytes] = []
    for number, chapter in enumerate(chapters, 1):
        comments.append(f"CHAPTER{number:03}={_clock(chapter.start_ms)}".encode())
        comments.append(f"CHAPTER{number:03}NAME=".encode() + _cut(chapter.title, longest))
    return comments


def id3_tag(chapters: Sequence[Chapter]) -> bytes:
    """An ID3v2.3 tag with the frames of "ID3v2 Chapter Frame Addendum 1.0"; empty where there are none.

    The first 255 chapters. Of version 2.4 FFmpeg reads no titles of more than 127 bytes.
    """
    kept = chapters[:_ID3_MOST]
    if not kept:
        return b""
    names = [f"ch{number}".encode() + b"\x00" for number in range(len(kept))]
    contents = b"toc\x00\x03" + bytes([len(kept)]) + b"".join(names)  # 3: at the top, and ordered
    frames = _frame(b"CTOC", contents)
    for name, chapter in zip(names, kept, strict=True):
        times = b"".join(min(ms, _LATEST_MS).to_bytes(4, "big") for ms in (chapter.start_ms, chapter.end_ms))
        title = _frame(b"TIT2", b"\x01\xff\xfe" + chapter.title[:_ID3_TITLE].encode("utf-16-le"))
        frames += _frame(b"CHAP", name + times + 2 * _NO_OFFSET + title)
    return b"ID3\x03\x00\x00" + _synchsafe(len(frames)) + frames


def _frame(name: bytes, body: bytes) -> bytes:
    return name + len(body).to_bytes(4, "big") + bytes(2) + body


def _synchsafe(number: int) -> bytes:
    """Four bytes of seven bits, as ID3v2 counts."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def _cut(title: str, longest: int) -> bytes:
    return title.encode()[:longest].decode(errors="ignore").encode()


def _clock(millis: int) -> str:
    seconds, millis = divmod(millis, 1_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{millis:03}"
