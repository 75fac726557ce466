"""Documents that are broken or meant to do harm end in an error of ours, soon, and leave no process."""

import asyncio
import re
import zipfile
from collections.abc import Callable
from io import BytesIO

import psutil
import pytest

from loadtests.bench.retrieval.question_library import docx, pdf
from pipeline.rag.reading.document_reader import DocumentReader, UploadedDocument
from schemas.errors.retrieval_errors import DocumentError, DocumentTooLarge, DocumentTooSlow
from schemas.settings.retrieval_settings import ReadingLimits
from tests.pipeline.rag.conftest import Uploaded
from tests.support.eventually import eventually

pytestmark = pytest.mark.anyio


def reading_now() -> list[psutil.Process]:
    """Processes of ours that read a document; what else this test process has started is others' affair."""
    return [child for child in psutil.Process().children() if any("reading" in a for a in child.cmdline())]


_STRICT = ReadingLimits(bytes=40_000_000, unpacked_bytes=20_000_000, seconds=8, memory_mb=384)


def _without_text() -> bytes:
    return pdf([""])


def _locked() -> bytes:
    """A PDF whose key nobody knows."""
    lock = b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >> /ID [<00> <00>] /Root" % (
        b"41" * 32,
        b"42" * 32,
    )
    return re.sub(rb"/Root", lock, pdf(["secret"]))


def _packed(files: dict[str, bytes]) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def _docx_with(body: bytes) -> bytes:
    with zipfile.ZipFile(BytesIO(docx("word"))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return _packed(files | {"word/document.xml": body})


def _laughing() -> bytes:
    """Each name stands for ten of the one before: a billion in the end."""
    names = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return _docx_with(f'<!DOCTYPE d [<!ENTITY l0 "ha">{names}]><d>&l9;</d>'.encode())


def _bomb() -> bytes:
    return _packed({"[Content_Types].xml": b"", "word/document.xml": bytes(60_000_000)})


def _deep() -> bytes:
    return b"<div>" * 50_000 + b"at the bottom"


def _lists() -> bytes:
    return b"> " * 20_000 + b"deep"


@pytest.mark.parametrize(
    ("name", "made", "code"),
    [
        ("a.pdf", _without_text, "document.empty"),
        ("a.pdf", _locked, "document.encrypted"),
        ("a.pdf", lambda: b"%PDF-1.7\n" + b"nonsense " * 1_000, "document.unreadable"),
        ("a.docx", lambda: docx("word" * 1_000)[:-500], "document.unreadable"),
        ("a.docx", lambda: _packed({"other.txt": b"no document"}), "document.unreadable"),
        ("a.docx", lambda: _docx_with(b"<no xml"), "document.unreadable"),
        ("a.docx", _laughing, "document.unreadable"),
        ("a.docx", _bomb, "document.too_large"),
        ("a.html", lambda: b"<html><script>only this</script>", "document.empty"),
        ("a.md", lambda: b"<!-- nothing else -->", "document.empty"),
        ("a.txt", lambda: bytes(41_000_000), "document.too_large"),
        ("a.txt", lambda: b"much text " * 500_000, "document.too_large"),
    ],
)
async def test_a_bad_document_is_refused_for_what_is_wrong_with_it(
    uploaded: Uploaded, name: str, made: Callable[[], bytes], code: str
) -> None:
    unhurried = _STRICT.model_copy(update={"seconds": 60})
    with pytest.raises(DocumentError) as refused:
        await DocumentReader(unhurried, at_once=1).read(uploaded(name, made()))
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("deep.html", _deep),
        ("deep.md", _lists),
        ("wide.html", lambda: b"<p>a" * 4_000_000),
        ("open.md", lambda: b"[" * 100_000),
        ("half.pdf", lambda: pdf(["page"] * 50)[:4_000]),
    ],
)
async def test_a_strange_document_is_read_or_refused(
    uploaded: Uploaded, name: str, made: Callable[[], bytes]
) -> None:
    assert await _outcome(uploaded(name, made())) in {
        "read",
        "document.empty",
        "document.too_large",
        "document.too_slow",
        "document.unreadable",
    }
    assert reading_now() == []


async def _outcome(upload: UploadedDocument) -> str:
    try:
        read = await DocumentReader(_STRICT, at_once=1).read(upload)
    except DocumentError as refused:
        return refused.code
    return "read" if read.extracted.text.strip() else "nothing"


async def test_reading_that_takes_too_long_is_ended(uploaded: Uploaded) -> None:
    limits = ReadingLimits(seconds=0.01)
    with pytest.raises(DocumentTooSlow):
        await DocumentReader(limits, at_once=1).read(uploaded("a.txt", b"words"))
    assert reading_now() == []


async def test_reading_that_takes_too_much_memory_is_ended(uploaded: Uploaded) -> None:
    limits = ReadingLimits(memory_mb=256, characters=1_000_000_000)
    with pytest.raises(DocumentTooLarge, match="memory"):
        await DocumentReader(limits, at_once=1).read(uploaded("a.txt", b"word \n\n" * 7_000_000))


async def test_a_reading_ends_when_no_caller_waits_for_it(uploaded: Uploaded) -> None:
    reader = DocumentReader(ReadingLimits(), at_once=1)
    upload = uploaded("a.html", _deep())
    reading = asyncio.create_task(reader.read(upload))
    await eventually(lambda: bool(reading_now()))
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert reading_now() == []
    assert (await reader.read(uploaded("b.txt", b"the place is free again"))).extracted.text
