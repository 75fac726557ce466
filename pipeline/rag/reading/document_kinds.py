"""Which kind of document some bytes are: by what they are first, by what they are called second."""

from pathlib import PurePath
from typing import Final, get_args

from schemas.errors.retrieval_errors import (
    DocumentEmpty,
    DocumentEncrypted,
    DocumentUnreadable,
    DocumentUnsupported,
)
from schemas.settings.retrieval_settings import MediaType

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
    """What its name says it is; else what its sender said."""
    if kind := _BY_ENDING.get(PurePath(name).suffix.lower()):
        return kind
    plain = (declared or "").partition(";")[0].strip().lower()
    if plain in _OTHER_NAMES:
        return _OTHER_NAMES[plain]
    known: tuple[MediaType, ...] = get_args(MediaType)
    return next((kind for kind in known if kind == plain), None)
