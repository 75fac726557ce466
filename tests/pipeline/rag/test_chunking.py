"""Passages are exactly their places in the text, nothing is lost, nothing is too long."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.rag.chunking import chunks
from pipeline.rag.reading.extracted_text import ExtractedText, TextBuilder
from schemas.settings.retrieval_settings import ChunkSettings

_LETTERS = st.text(st.sampled_from("ab .!?\n\täß漢👍é"), max_size=400)
_SENTENCES = st.lists(
    st.sampled_from(["One. ", "Two words! ", "A longer sentence than these? ", "\n\n", "x" * 90])
)
_TEXTS = st.one_of(_LETTERS, st.text(max_size=300), _SENTENCES.map("".join))
_BLOCKS = st.lists(
    st.one_of(
        _TEXTS,
        st.tuples(st.integers(1, 6), st.sampled_from(["Bees", "Honey", "The long winter of 1903"])),
        st.integers(1, 9),
    ),
    min_size=1,
    max_size=12,
)
_SETTINGS = st.integers(100, 300).flatmap(
    lambda size: st.builds(ChunkSettings, size=st.just(size), overlap=st.integers(0, size // 2))
)


def _extracted(blocks: list[object]) -> ExtractedText:
    builder = TextBuilder(1_000_000)
    for block in blocks:
        match block:
            case str():
                builder.block(block)
            case (int(level), str(heading)):
                builder.heading(level, heading)
            case int(page):
                builder.page(page)
    return builder.finish()


@given(_BLOCKS, _SETTINGS)
def test_every_passage_is_exactly_its_place_in_the_text(
    blocks: list[object], settings: ChunkSettings
) -> None:
    extracted = _extracted(blocks)
    for chunk in chunks(extracted, settings):
        assert extracted.text[chunk.start : chunk.end] == chunk.text
        assert 0 < len(chunk.text) <= settings.size
        assert chunk.text == chunk.text.strip()


@given(_BLOCKS, _SETTINGS)
def test_passages_together_have_every_character(blocks: list[object], settings: ChunkSettings) -> None:
    extracted = _extracted(blocks)
    covered = set[int]()
    for chunk in chunks(extracted, settings):
        covered.update(range(chunk.start, chunk.end))
    missing = [place for place in range(len(extracted.text)) if place not in covered]
    assert "".join(extracted.text[place] for place in missing).strip() == ""


@given(_BLOCKS, _SETTINGS)
def test_passages_move_on_and_go_back_at_most_by_the_overlap(
    blocks: list[object], settings: ChunkSettings
) -> None:
    cut = chunks(_extracted(blocks), settings)
    for before, after in pairwise(cut):
        assert before.start < after.start
        assert before.end < after.end
        assert after.start >= before.end - settings.overlap


@example(
    [(1, "Bees"), (1, "The long winter of 1903"), (1, "The long winter of 1903"), 1, "0" * 45],
    ChunkSettings(size=100, overlap=0),
)
@given(_BLOCKS, _SETTINGS)
def test_a_passage_is_on_one_page(blocks: list[object], settings: ChunkSettings) -> None:
    extracted = _extracted(blocks)
    for chunk in chunks(extracted, settings):
        last = extracted.place(chunk.end - 1)
        assert (chunk.page, chunk.headings) == (last.page, last.headings)


def test_a_passage_ends_with_a_sentence_where_it_can() -> None:
    text = "The bees fly when it is warm. " * 10
    cut = chunks(_extracted([text]), ChunkSettings(size=100, overlap=40))
    assert all(chunk.text.endswith("warm.") for chunk in cut)
    assert all(chunk.text.startswith("The bees") for chunk in cut)


def test_a_word_without_end_is_cut_all_the_same() -> None:
    cut = chunks(_extracted(["x" * 1_000]), ChunkSettings(size=100, overlap=0))
    assert [len(chunk.text) for chunk in cut] == [100] * 10


def test_a_heading_with_nothing_under_it_belongs_to_what_comes_next() -> None:
    extracted = _extracted([(1, "Care"), (2, "Every day"), "Empty the tray.", (2, "Limescale"), "Use acid."])
    cut = chunks(extracted, ChunkSettings())
    assert [(chunk.text, chunk.headings) for chunk in cut] == [
        ("Care\n\nEvery day\n\nEmpty the tray.", ("Care", "Every day")),
        ("Limescale\n\nUse acid.", ("Care", "Limescale")),
    ]


def test_the_same_heading_twice_begins_two_passages() -> None:
    extracted = _extracted([(1, "Notes"), "First.", (1, "Notes"), "Second."])
    assert [chunk.text for chunk in chunks(extracted, ChunkSettings())] == [
        "Notes\n\nFirst.",
        "Notes\n\nSecond.",
    ]


def test_a_text_that_ends_with_a_heading_keeps_it() -> None:
    extracted = _extracted(["Some text.", (1, "The end")])
    assert chunks(extracted, ChunkSettings())[-1].text == "The end"


def test_a_heading_without_end_is_a_paragraph_and_is_not_copied_into_every_passage() -> None:
    extracted = _extracted([(1, "Bees"), (2, "dance " * 40_000), "wax " * 150_000])
    cut = chunks(extracted, ChunkSettings())
    assert {chunk.headings for chunk in cut} == {("Bees",)}
    assert "dance dance" in extracted.text


def test_many_headings_are_not_copied_more_often_than_there_may_be_text() -> None:
    builder = TextBuilder(100_000)
    for level in range(1, 6):
        builder.heading(level, "deep " * 40)
    for _ in range(15_000):
        builder.heading(6, "a")
        builder.block("b")
    cut = chunks(builder.finish("The title"), ChunkSettings())
    assert sum(len(heading) for chunk in cut for heading in chunk.headings) < 1_000_000
    assert len(cut) < 2_000
    assert sum(chunk.text.count("b") for chunk in cut) >= 15_000


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", ["." * 400_000, '."' * 200_000, "a" + " " * 400_000 + "b", "x" * 400_000])
def test_a_monotonous_text_is_cut_soon(text: str) -> None:
    builder = TextBuilder(1_000_000)
    builder.block(text)
    cut = chunks(builder.finish(), ChunkSettings(size=4_000))
    assert sum(len(chunk.text) for chunk in cut) >= len(text.replace(" ", ""))
