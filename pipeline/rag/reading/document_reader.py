"""Reads documents, each in a process of its own that is bounded in time and memory."""

import asyncio
import json
import logging
import math
import sys
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Final, get_args

import anyio

from pipeline.core.child_processes import bare_environment, ended
from pipeline.rag.reading.extracted_text import ExtractedText, TextPlace
from schemas.errors.retrieval_errors import (
    DocumentEmpty,
    DocumentEncrypted,
    DocumentError,
    DocumentTooLarge,
    DocumentTooSlow,
    DocumentUnreadable,
    DocumentUnsupported,
)
from schemas.settings.retrieval_settings import MediaType, ReadingLimits

PDF: Final[MediaType] = "application/pdf"
DOCX: Final[MediaType] = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
HTML: Final[MediaType] = "text/html"
MARKDOWN: Final[MediaType] = "text/markdown"
PLAIN: Final[MediaType] = "text/plain"

HEAD_BYTES: Final = 4_096
"""So much of a document decides its kind."""
_BY_ENDING: Final[dict[str, MediaType]] = {
    ".pdf": PDF,
    ".docx": DOCX,
    ".html": HTML,
    ".htm": HTML,
    ".xhtml": HTML,
    ".md": MARKDOWN,
    ".markdown": MARKDOWN,
    ".txt": PLAIN,
    ".text": PLAIN,
}
_OTHER_NAMES: Final[dict[str, MediaType]] = {"application/xhtml+xml": HTML, "text/x-markdown": MARKDOWN}
_ZIP: Final = b"PK\x03\x04"
_OLE: Final = bytes.fromhex("d0cf11e0a1b11ae1")
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff")
_HTML_BEGINS: Final = (b"<!doctype html", b"<html", b"<head", b"<body")
_READ_HERE: Final = "PDF, DOCX, HTML, Markdown and plain text are read here."


def kind_of(head: bytes, name: str, declared: str | None = None) -> MediaType:
    """The kind of the document that begins with `head`; raises a DocumentError if it is none of ours."""
    if not head.strip():
        raise DocumentEmpty("The document is empty.")
    claimed = _claimed(name, declared)
    if b"%PDF-" in head[:1_024]:
        return PDF
    if head.startswith((_ZIP, _OLE)):
        return _packed(head, claimed)
    if claimed in (PDF, DOCX):
        raise DocumentUnreadable("The document is not what its name says.")
    if b"\x00" in head and not head.startswith(_WIDE):
        raise DocumentUnsupported(f"This is no text. {_READ_HERE}")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_HTML_BEGINS):
        return HTML
    if claimed is None:
        raise DocumentUnsupported(f"Nothing says what kind of document this is. {_READ_HERE}")
    return claimed


def _packed(head: bytes, claimed: MediaType | None) -> MediaType:
    if claimed != DOCX:
        raise DocumentUnsupported(f"This is a packed file or one in Word's old format. {_READ_HERE}")
    if head.startswith(_OLE):  # In this wrapping Word puts what it encrypts, as it did all files long ago.
        raise DocumentEncrypted("The document is encrypted, or in Word's old format.")
    return DOCX


def _claimed(name: str, declared: str | None) -> MediaType | None:
    """Kind that the file's name gives; else the kind that its sender gave."""
    if kind := _BY_ENDING.get(PurePath(name).suffix.lower()):
        return kind
    plain = (declared or "").partition(";")[0].strip().lower()
    if plain in _OTHER_NAMES:
        return _OTHER_NAMES[plain]
    known: tuple[MediaType, ...] = get_args(MediaType)
    return next((kind for kind in known if kind == plain), None)


log = logging.getLogger(__name__)

_CHILD: Final = "pipeline.rag.reading.reader_process"
_TRIES: Final = 2
"""A process may be killed by what is not its document; twice in a row it is the document."""
_READERS: Final = {PDF: "pdf", DOCX: "docx", HTML: "html", MARKDOWN: "markdown", PLAIN: "plain"}


@dataclass(frozen=True, slots=True)
class UploadedDocument:
    """A file that somebody sent. It is only read; whoever wrote it removes it."""

    path: Path
    name: str
    """Name that the sender gave it."""
    declared: str | None = None
    """The media type that its sender gave."""


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """Kind and text of a file."""

    media_type: MediaType
    extracted: ExtractedText


class DocumentReader:
    """Reads at most `at_once` documents at a time; others wait for their turn."""

    def __init__(self, limits: ReadingLimits, at_once: int) -> None:
        self._limits = limits
        self._places = asyncio.Semaphore(at_once)

    async def read(self, upload: UploadedDocument) -> ReadDocument:
        """The document's text; raises a DocumentError. Cancelling it ends the work."""
        file = anyio.Path(upload.path)
        if (await file.stat()).st_size > self._limits.bytes:
            raise DocumentTooLarge(f"The document is larger than {self._limits.bytes // 1_000_000} MB.")
        async with await file.open("rb") as opened:
            head = await opened.read(HEAD_BYTES)
        kind = kind_of(head, upload.name, upload.declared)
        async with self._places:
            try:
                async with asyncio.timeout(self._limits.seconds):
                    answer = await self._answer(kind, upload.path)
            except TimeoutError:
                raise DocumentTooSlow(f"Reading the document took over {self._limits.seconds:g} s.") from None
        if "code" in answer:
            raise _error(answer["code"], answer["message"])
        places = tuple(TextPlace(start, page, tuple(headings)) for start, page, headings in answer["places"])
        return ReadDocument(kind, ExtractedText(answer["text"], places, answer["title"], answer["pages"]))

    async def _answer(self, kind: MediaType, path: Path) -> dict[str, Any]:
        """Result of a reader process. Raises DocumentUnreadable where the process died before it."""
        for _ in range(_TRIES):
            said, status = await self._ask(kind, path)
            answer = await asyncio.to_thread(_parsed, said) if status == 0 else None
            if answer is not None:
                return answer
            log.warning("a process that read a document ended with status %s", status)
        raise DocumentUnreadable(f"The document is damaged: its reader gave up (status {status}).")

    async def _ask(self, kind: MediaType, path: Path) -> tuple[bytes, int | None]:
        order = {
            "reader": _READERS[kind],
            "memory_mb": self._limits.memory_mb,
            "seconds": math.ceil(self._limits.seconds) + 1,
            "characters": self._limits.characters,
            "unpacked_bytes": self._limits.unpacked_bytes,
        }
        with path.open("rb") as source:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", _CHILD, json.dumps(order)),
                stdin=source,
                stdout=PIPE,
                stderr=DEVNULL,
                env=bare_environment(),
            )
        try:
            said, _ = await child.communicate()
        finally:
            await ended(child)
        return said, child.returncode


def _parsed(said: bytes) -> dict[str, Any] | None:
    with suppress(ValueError):
        answer: dict[str, Any] = json.loads(said)
        return answer
    return None


def _error(code: str, message: str) -> DocumentError:
    kinds = {kind.code: kind for kind in DocumentError.__subclasses__()}
    return kinds.get(code, DocumentUnreadable)(message)
