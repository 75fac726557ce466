"""Documents of every kind become text with pages and headings."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.bench.retrieval.question_library import docx, pdf, questions, shelve
from pipeline.rag.reading import html_document, markdown_document, plain_document
from pipeline.rag.reading.document_reader import DocumentReader, ReadDocument, UploadedDocument, kind_of
from pipeline.rag.reading.extracted_text import ExtractedText
from schemas.errors.retrieval_errors import DocumentError
from schemas.settings.retrieval_settings import ReadingLimits
from tests.pipeline.rag.conftest import Uploaded

_MOST = 100_000


async def _read(upload: UploadedDocument) -> ReadDocument:
    return await DocumentReader(ReadingLimits(), at_once=1).read(upload)


def _headings_at(extracted: ExtractedText, words: str) -> tuple[str, ...]:
    return extracted.place(extracted.text.index(words)).headings


@pytest.mark.anyio
async def test_every_answer_of_the_library_is_in_its_document_and_on_its_page(tmp_path: Path) -> None:
    reader = DocumentReader(ReadingLimits(), at_once=2)
    texts = {
        path.name: (await reader.read(UploadedDocument(path, path.name))).extracted
        for path in shelve(tmp_path)
    }
    for question in questions():
        extracted = texts[question.document]
        words = " ".join(extracted.text.split())
        assert question.answer in words, question
        if question.page is not None:
            first = question.answer.split()[0]
            starts = [match.start() for match in re.finditer(re.escape(first), extracted.text)]
            assert question.page in {extracted.place(start).page for start in starts}


@pytest.mark.anyio
async def test_a_pdf_has_pages_and_a_title(uploaded: Uploaded) -> None:
    data = pdf(
        ["The first page.\n\nMore (of) it \\ here.", "The zweite Seite mit Umlauten: äöüß."], title="Two"
    )
    read = await _read(uploaded("a.pdf", data))
    assert read.media_type == "application/pdf"
    assert (read.extracted.title, read.extracted.pages) == ("Two", 2)
    assert [place.page for place in read.extracted.places] == [1, 2]
    assert read.extracted.place(read.extracted.text.index("äöüß")).page == 2
    assert "More (of) it \\ here." in read.extracted.text


@pytest.mark.anyio
async def test_a_docx_has_headings_and_tables(uploaded: Uploaded) -> None:
    data = docx(
        "# Staff\n\n## Leave\n\nTwenty days.\n\n| Why | Days |\n| --- | --- |\n| Own wedding | 2 |\n\n"
        "# End\n\nBye."
    )
    read = await _read(uploaded("a.docx", data))
    assert _headings_at(read.extracted, "Twenty days") == ("Staff", "Leave")
    assert _headings_at(read.extracted, "Bye") == ("End",)
    assert "Why | Days\nOwn wedding | 2" in read.extracted.text


@pytest.mark.anyio
async def test_words_of_every_page_of_a_site_are_left_out(tmp_path: Path) -> None:
    (path,) = (path for path in shelve(tmp_path) if path.name == "espresso.html")
    read = await _read(UploadedDocument(path, path.name))
    for unwanted in ("basket", "cookies", "Accept all", "Customers also", "Imprint", "half price", "display"):
        assert unwanted not in read.extracted.text
    assert read.extracted.title == "Marlena 300 espresso machine: user guide"
    assert _headings_at(read.extracted, "citric acid") == ("Marlena 300: user guide", "Care", "Limescale")
    assert "Group gasket | MR-8842 | 6.50\nBlind filter | MR-1107 | 4.20" in read.extracted.text


def test_a_page_without_a_main_part_is_read_whole() -> None:
    page = (
        b"<body><header>Top</header><div><h1>A</h1>One<br>two<article>small</article></div><footer>x</footer>"
    )
    assert html_document.read(page, _MOST).text == "A\n\nOne\ntwo\n\nsmall"


def test_inline_markup_does_not_cut_words_and_pre_keeps_its_lines() -> None:
    page = b"<p>in<b>line</b> and <a href=x>a link</a></p><pre>a\n  b</pre><ul><li>one<li>two</ul>"
    assert html_document.read(page, _MOST).text == "inline and a link\n\na\n  b\n\n- one\n- two"


def test_markdown_is_read_as_it_is_shown() -> None:
    source = (
        b"---\ntitle: 'The title'\n---\n# One *fine* day\n\n"
        b"A [link](http://x), ![a picture](y.png) and `code`.\n<!-- hidden -->\n\n"
        b"Under\n=====\n\n- first\n- second\n\n> quoted\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    )
    read = markdown_document.read(source, _MOST)
    assert read.title == "The title"
    assert read.text == (
        "One fine day\n\nA link, a picture and code.\n\nUnder\n\n- first\n\n- second\n\n"
        "quoted\n\na | b\n1 | 2"
    )
    assert _headings_at(read, "quoted") == ("Under",)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "iso8859-15"])
def test_text_may_come_in_any_common_encoding(encoding: str) -> None:
    text = (
        "Die Brötchen für Zoë kosten Geld. Größe, Maß und Güte müssen übereinstimmen, sagte die Bäckerin.\n"
        * 4
    )
    assert plain_document.decoded(text.encode(encoding)) == text


def test_a_page_is_read_in_the_encoding_that_it_tells() -> None:
    page = "<html><head><meta charset='iso-8859-2'></head><body><p>Příliš žluťoučký kůň".encode("iso-8859-2")
    assert html_document.read(page, _MOST).text == "Příliš žluťoučký kůň"


@pytest.mark.parametrize(
    ("head", "name", "declared", "kind"),
    [
        (b"%PDF-1.7", "x.bin", None, "application/pdf"),
        (b"\n\n%PDF-1.7", "x", None, "application/pdf"),
        (b"text", "NOTES.MD", None, "text/markdown"),
        (b"text", "notes", "text/markdown; charset=utf-8", "text/markdown"),
        (b"text", "notes.txt", "text/html", "text/plain"),
        (b"\xef\xbb\xbf<!DOCTYPE HTML>", "page.txt", None, "text/html"),
        (b"\xff\xfet\x00", "wide.txt", None, "text/plain"),
    ],
)
def test_a_kind_is_told_by_the_bytes_first(head: bytes, name: str, declared: str | None, kind: str) -> None:
    assert kind_of(head, name, declared) == kind


@pytest.mark.parametrize(
    ("head", "name", "code"),
    [
        (b"", "a.txt", "document.empty"),
        (b" \n ", "a.md", "document.empty"),
        (b"PK\x03\x04", "a.zip", "document.unsupported"),
        (bytes.fromhex("d0cf11e0a1b11ae1"), "a.docx", "document.encrypted"),
        (bytes.fromhex("d0cf11e0a1b11ae1"), "a.doc", "document.unsupported"),
        (b"no pdf", "a.pdf", "document.unreadable"),
        (b"\x7fELF\x00\x00", "a.txt", "document.unsupported"),
        (b"words", "a.xyz", "document.unsupported"),
    ],
)
def test_an_unreadable_file_is_refused_by_its_first_bytes(head: bytes, name: str, code: str) -> None:
    with pytest.raises(DocumentError) as refused:
        kind_of(head, name)
    assert refused.value.code == code


@given(st.binary(max_size=400), st.sampled_from(["plain", "html", "markdown"]))
def test_no_bytes_break_a_reader_of_text(data: bytes, kind: str) -> None:
    read = {"plain": plain_document.read, "html": html_document.read, "markdown": markdown_document.read}[
        kind
    ](data, _MOST)
    assert [place.start for place in read.places] == sorted({place.start for place in read.places})
    assert not read.places or read.places[0].start == 0
    assert read.text == read.text.encode().decode()
