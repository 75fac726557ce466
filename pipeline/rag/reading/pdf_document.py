"""PDF: the text of each page, with PDFium."""

import re
from typing import Final

import pypdfium2
import pypdfium2.raw

from pipeline.rag.reading.extracted_text import ExtractedText, TextBuilder
from schemas.errors.retrieval_errors import DocumentEncrypted, DocumentUnreadable

_HYPHENATED: Final = re.compile("(?:\ufffe|\x02)\r?\n?")
"""Mark with which PDFium shows that a word goes on in the next line."""


def read(data: bytes, max_characters: int) -> ExtractedText:
    """The text, page by page. Pages that are only pictures have none."""
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD:
            raise DocumentEncrypted("The PDF opens only with a password.") from error
        raise DocumentUnreadable("The PDF is damaged.") from error
    builder = TextBuilder(max_characters)
    with document:
        for index in range(len(document)):
            builder.page(index + 1)
            try:
                builder.block(_page(document, index))
            except pypdfium2.PdfiumError as error:
                raise DocumentUnreadable(f"Page {index + 1} of the PDF is damaged.") from error
        return builder.finish(document.get_metadata_value("Title"))


def _page(document: pypdfium2.PdfDocument, index: int) -> str:
    page = document[index]
    words = page.get_textpage()
    try:
        return _HYPHENATED.sub("", words.get_text_range())
    finally:
        words.close()
        page.close()
