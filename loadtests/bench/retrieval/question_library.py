"""The library as files of all kinds, and the questions to it. PDF and DOCX are made from Markdown."""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from textwrap import wrap
from typing import Final

from docx import Document
from pydantic import TypeAdapter

from loadtests.report.tables import ROOT

LIBRARY: Final = ROOT / "tests" / "pipeline" / "rag" / "library"
_PAGE: Final = "<!-- page -->"
_BLOCKS: Final = re.compile(r"\n\s*\n")
_COLUMNS: Final = 92


@dataclass(frozen=True, slots=True)
class LibraryQuestion:
    """A question, and the words that answer it."""

    kind: str
    question: str
    document: str
    answer: str
    page: int | None = None


def questions() -> list[LibraryQuestion]:
    return TypeAdapter(list[LibraryQuestion]).validate_json((LIBRARY / "questions.json").read_bytes())


def shelve(folder: Path) -> list[Path]:
    """Put every document of the library into the folder, as it would be uploaded."""
    made = []
    for source in sorted(LIBRARY.iterdir()):
        text = source.read_text(encoding="utf-8")
        match source.name.split("."):
            case [name, "pdf", "md"]:
                target, data = f"{name}.pdf", pdf([_plain(page) for page in text.split(_PAGE)])
            case [name, "docx", "md"]:
                target, data = f"{name}.docx", docx(text)
            case [name, "txt"] if name == "sauerteig":
                target, data = source.name, text.encode("cp1252")
            case [_, "json"]:
                continue
            case _:
                target, data = source.name, text.encode()
        (folder / target).write_bytes(data)
        made.append(folder / target)
    return made


def docx(markdown: str) -> bytes:
    """Headings, paragraphs and tables as Word keeps them."""
    document = Document()
    for block in _BLOCKS.split(markdown.strip()):
        if block.startswith("#"):
            marks, _, heading = block.partition(" ")
            document.add_heading(heading, level=len(marks))
        elif block.startswith("|"):
            rows = [[cell.strip() for cell in row.strip("| ").split("|")] for row in block.split("\n")]
            rows = [row for row in rows if set("".join(row)) != {"-"}]
            table = document.add_table(len(rows), len(rows[0]))
            for place, row in enumerate(rows):
                for column, cell in enumerate(row):
                    table.cell(place, column).text = cell
        else:
            document.add_paragraph(" ".join(block.split()))
    file = BytesIO()
    document.save(file)
    return file.getvalue()


def pdf(pages: Sequence[str], *, title: str = "") -> bytes:
    """Lines of text in Helvetica, set as simply as can be."""
    objects: list[bytes] = [b"", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica "]
    objects[2] += b"/Encoding /WinAnsiEncoding >>"
    kids = []
    for page in pages:
        lines = [part for line in page.split("\n") for part in (wrap(line, _COLUMNS) or [""])]
        shown = b"".join(b"(%s) Tj T*\n" % _escaped(line) for line in lines)
        packed = zlib.compress(b"BT /F1 10 Tf 14 TL 50 790 Td\n" + shown + b"ET")
        objects.append(b"<< /Length %d /Filter /FlateDecode >> stream\n%s\nendstream" % (len(packed), packed))
        kids.append(len(objects) + 1)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] "
            b"/Resources << /Font << /F1 3 0 R >> >> /Contents %d 0 R >>" % len(objects)
        )
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R >>"
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (
        b" ".join(b"%d 0 R" % kid for kid in kids),
        len(kids),
    )
    objects.append(b"<< /Title (%s) >>" % _escaped(title))
    return _file(objects)


def _file(objects: Sequence[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, one in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer << /Size %d /Root 1 0 R /Info %d 0 R >>\n" % (len(objects) + 1, len(objects))
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def _escaped(text: str) -> bytes:
    return re.sub(rb"([\\()])", rb"\\\1", text.encode("cp1252", errors="replace"))


def _plain(markdown: str) -> str:
    """Paragraphs in one line each, headings without their marks."""
    blocks = _BLOCKS.split(markdown.strip())
    return "\n\n".join(" ".join(block.lstrip("# ").split()) for block in blocks)
