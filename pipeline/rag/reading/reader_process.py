"""`python -m pipeline.rag.reading.reader_process`: reads one document from its input, in bounds, and is gone.

Readers are native code, or can be made to work for hours; documents come from anywhere. So each is read in a
process of its own, which has as much memory and time as it is given and can be ended.
"""

import ctypes
import json
import os
import resource
import sys
from collections.abc import Callable
from typing import Any, Final

from pipeline.rag.reading.extracted_text import ExtractedText
from schemas.errors.retrieval_errors import DocumentEmpty, DocumentError, DocumentTooLarge, DocumentUnreadable

_NEW_USER: Final = 0x1000_0000
_NEW_NETWORK: Final = 0x4000_0000
"""CLONE_NEWUSER and CLONE_NEWNET of Linux."""
_NICE: Final = 5
"""Niceness of the process: speech goes before the reading of documents."""


def main() -> None:
    """Write the text, or the code and the message of an error, as JSON."""
    order = json.loads(sys.argv[1])
    leave_network()
    _bound(order["memory_mb"], order["seconds"])
    try:
        answer = _read(order, sys.stdin.buffer.read())
    except MemoryError:
        error: DocumentError = DocumentTooLarge("Reading the document takes too much memory.")
        answer = {"code": error.code, "message": str(error)}
    except DocumentError as error:
        answer = {"code": error.code, "message": str(error)}
    except Exception as error:  # any error of a reader
        answer = {
            "code": DocumentUnreadable.code,
            "message": f"The document is damaged ({type(error).__name__}).",
        }
    json.dump(answer, sys.stdout, ensure_ascii=False)
    sys.stdout.flush()


def leave_network() -> bool:
    """Go where there is no network, if the kernel lets us; containers often forbid it."""
    try:
        unshare = ctypes.CDLL(None, use_errno=True).unshare
    except (OSError, AttributeError):  # not Linux
        return False
    return any(unshare(flags) == 0 for flags in (_NEW_NETWORK, _NEW_USER | _NEW_NETWORK))


def _bound(memory_mb: int, seconds: int) -> None:
    os.nice(_NICE)
    memory = memory_mb * 1_000_000
    limits = [
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ]
    for what, most in limits:
        resource.setrlimit(what, (most, most))


def _read(order: dict[str, Any], data: bytes) -> dict[str, Any]:
    found = _reader(order)(data)
    if not found.text.strip():
        raise DocumentEmpty("There is no text in the document. Scanned pages are not read.")
    places = [[place.start, place.page, place.headings] for place in found.places]
    return {"text": found.text, "places": places, "title": found.title, "pages": found.pages}


def _reader(order: dict[str, Any]) -> Callable[[bytes], ExtractedText]:
    """Only the reader that is needed is loaded."""
    most = order["characters"]
    match order["reader"]:
        case "pdf":
            from pipeline.rag.reading import pdf_document

            return lambda data: pdf_document.read(data, most)
        case "docx":
            from pipeline.rag.reading import docx_document

            return lambda data: docx_document.read(data, most, order["unpacked_bytes"])
        case "html":
            from pipeline.rag.reading import html_document

            return lambda data: html_document.read(data, most)
        case "markdown":
            from pipeline.rag.reading import markdown_document

            return lambda data: markdown_document.read(data, most)
        case _:
            from pipeline.rag.reading import plain_document

            return lambda data: plain_document.read(data, most)


if __name__ == "__main__":
    main()
