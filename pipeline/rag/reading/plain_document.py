"""Plain text, and the encodings that text comes in."""

import codecs
import re
from typing import Final

from charset_normalizer import from_bytes

from pipeline.rag.reading.extracted_text import ExtractedText, TextBuilder

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: it begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_GUESSED_FROM: Final = 200_000
_PARAGRAPHS: Final = re.compile(r"\n[^\S\n]*\n")
_OURS: Final = [
    "cp1252",
    "latin_1",
    "iso8859_15",
    "cp1250",
    "cp1251",
    "cp437",
    "cp850",
    "mac_roman",
    "utf_16",
]


def read(data: bytes, max_characters: int) -> ExtractedText:
    """The text as it is, in paragraphs."""
    builder = TextBuilder(max_characters)
    text = decoded(data).replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", "\n\n")
    for paragraph in _PARAGRAPHS.split(text):
        builder.block(paragraph)
    return builder.finish()


def decoded(data: bytes, declared: str | None = None) -> str:
    """The text, by its byte order mark, as UTF-8, as declared, or as the encoding that fits best."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if declared is not None:
        try:
            return data.decode(declared, errors="replace")
        except LookupError:
            pass
    best = from_bytes(data[:_GUESSED_FROM], cp_isolation=_OURS).best()
    return data.decode(best.encoding if best else "cp1252", errors="replace")
