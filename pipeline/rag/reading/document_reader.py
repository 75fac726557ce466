"""Reads documents, each in a process of its own that is bounded in time and memory."""

import asyncio
import json
import logging
import math
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio

from pipeline.rag.reading.document_kinds import DOCX, HEAD_BYTES, HTML, MARKDOWN, PDF, PLAIN, kind_of
from pipeline.rag.reading.extracted_text import ExtractedText, TextPlace
from schemas.errors.retrieval_errors import (
    DocumentError,
    DocumentTooLarge,
    DocumentTooSlow,
    DocumentUnreadable,
)
from schemas.settings.retrieval_settings import MediaType, ReadingLimits

log = logging.getLogger(__name__)

_CHILD: Final = "pipeline.rag.reading.reader_process"
_ENVIRONMENT: Final = (
    *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH"),
    *("PYTHONPATH", "PYTHONHOME", "PYTHONUTF8", "PYTHONDONTWRITEBYTECODE"),
)
_TRIES: Final = 2
"""A process may be killed by what is not its document; twice in a row it is the document."""
_READERS: Final = {PDF: "pdf", DOCX: "docx", HTML: "html", MARKDOWN: "markdown", PLAIN: "plain"}


@dataclass(frozen=True, slots=True)
class UploadedDocument:
    """A file that somebody sent. It is only read; whoever wrote it removes it."""

    path: Path
    name: str
    """What its sender calls it."""
    declared: str | None = None
    """The media type that its sender gave."""


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """What a file is, and says."""

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
        """What a reader says. Raises DocumentUnreadable where none lives to say it."""
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
                env=_bare_environment(),
            )
        try:
            said, _ = await child.communicate()
        finally:
            await _ended(child)
        return said, child.returncode


def _bare_environment() -> dict[str, str]:
    """What Python needs to begin, and none of the settings and secrets of a replica."""
    return {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}


async def _ended(child: Process) -> None:
    """After this there is no process any more, even if the caller is being cancelled."""
    if child.returncode is None:
        with suppress(ProcessLookupError):
            child.kill()
        with anyio.CancelScope(shield=True):
            await child.wait()


def _parsed(said: bytes) -> dict[str, Any] | None:
    with suppress(ValueError):
        answer: dict[str, Any] = json.loads(said)
        return answer
    return None


def _error(code: str, message: str) -> DocumentError:
    kinds = {kind.code: kind for kind in DocumentError.__subclasses__()}
    return kinds.get(code, DocumentUnreadable)(message)
