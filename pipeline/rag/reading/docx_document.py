"""DOCX: paragraphs and tables in their order, under the headings that Word's styles make."""

import re
import zipfile
from io import BytesIO
from typing import Final

from docx import Document
from docx.opc.exceptions import PackageNotFoundError
from docx.table import Table
from docx.text.paragraph import Paragraph
from lxml.etree import XMLSyntaxError

from pipeline.rag.reading.extracted_text import ExtractedText, TextBuilder
from schemas.errors.retrieval_errors import DocumentTooLarge, DocumentUnreadable

_FILES: Final = 10_000
_HEADING: Final = re.compile(r"heading ([1-9])", re.I)
_LIST: Final = re.compile(r"list\b", re.I)


def read(data: bytes, max_characters: int, unpacked_bytes: int) -> ExtractedText:
    """The text; `unpacked_bytes` is how large the file may be without its packing."""
    _look_inside(data, unpacked_bytes)
    try:
        document = Document(BytesIO(data))
    except (PackageNotFoundError, XMLSyntaxError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise DocumentUnreadable("The DOCX is damaged.") from error
    builder = TextBuilder(max_characters)
    title: str | None = None
    for item in document.iter_inner_content():
        if isinstance(item, Table):
            builder.block(_rows(item))
        elif title is None and _style(item).lower() == "title":
            title = item.text
            builder.heading(1, item.text)
        else:
            _paragraph(builder, item)
    return builder.finish(document.core_properties.title or title)


def _look_inside(data: bytes, unpacked_bytes: int) -> None:
    """Refuses what is no DOCX, and what is much larger than it looks."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise DocumentUnreadable("The DOCX is damaged.") from error
    if len(members) > _FILES or sum(member.file_size for member in members) > unpacked_bytes:
        raise DocumentTooLarge(f"The DOCX unpacks to more than {unpacked_bytes // 1_000_000} MB.")
    if any(member.flag_bits & 1 for member in members) or not any(
        member.filename == "[Content_Types].xml" for member in members
    ):
        raise DocumentUnreadable("This is no DOCX that can be read.")


def _paragraph(builder: TextBuilder, paragraph: Paragraph) -> None:
    style = _style(paragraph)
    if found := _HEADING.match(style):
        builder.heading(int(found[1]), paragraph.text)
    elif _LIST.match(style) and paragraph.text.strip():
        builder.block(f"- {paragraph.text}")
    else:
        builder.block(paragraph.text)


def _style(paragraph: Paragraph) -> str:
    return (paragraph.style.name if paragraph.style else None) or ""


def _rows(table: Table) -> str:
    rows = []
    for row in table.rows:
        cells: list[str] = []
        for cell in row.cells:  # A merged cell comes once for each place that it fills.
            text = " ".join(cell.text.split())
            if not cells or text != cells[-1]:
                cells.append(text)
        rows.append(" | ".join(cells))
    return "\n".join(rows)
