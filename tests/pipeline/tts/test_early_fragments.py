"""The first fragments of an answer end early: what is heard soon, and what must stay together."""

import pytest

from pipeline.tts.sentence_buffer import SentenceBuffer
from schemas.settings import SentenceSettings
from tests.pipeline.tts.cutting import cut, texts


def test_the_second_fragment_may_end_early_when_it_is_twice_as_long() -> None:
    text = (
        "When the night had come, the old keeper of the lighthouse climbed the narrow stairs as he had done "
        "for forty years, and all was dark. When the morning had come at last, he slept until the bell."
    )
    assert texts(cut(text, SentenceSettings(first_length=24))) == [
        "When the night had come, ",
        "the old keeper of the lighthouse climbed the narrow stairs as he had done ",
        "for forty years, and all was dark. ",
        "When the morning had come at last, he slept until the bell.",
    ]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Once upon a time, there was an old keeper. He lived alone.", "Once upon a time, "),
        ("The old clock. It is a relic of another time.", "The old clock. "),
        ("The old clock on the corner, and its bell, were late.", "The old clock on the corner, "),
        ("The harbour of the town and its ships were quiet.", "The harbour of the town "),
        ("Yes, he did. Then he went home again.", "Yes, he did. "),
        ("Yes. No. Maybe so.", "Yes. No. Maybe so."),
    ],
)
def test_a_few_words_are_enough_for_the_first_fragment(text: str, first: str) -> None:
    assert texts(cut(text, SentenceSettings()))[0] == first


def test_a_least_length_that_was_wished_for_holds_for_the_first_words_too() -> None:
    text = "Once upon a time, there was a keeper. He sang. He slept. He woke at six in the morning."
    first, *_ = texts(cut(text, SentenceSettings(min_length=40)))
    assert first == "Once upon a time, there was a keeper. He sang. "
    assert texts(cut(text, SentenceSettings(min_length=20)))[0] == "Once upon a time, "


def test_only_the_first_fragments_may_end_at_a_clause() -> None:
    text = "When the night had come, and all was dark, he left. When the morning had come, he came back."
    assert texts(cut(text, SentenceSettings(first_length=24))) == [
        "When the night had come, ",
        "and all was dark, he left. ",
        "When the morning had come, he came back.",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "He counted 10, 20, 30 and 1,000 sheep there",
        'She said "well, maybe, if you like" to him',
        "Ein Viertel (oder, genauer, ein Achtel) blieb",
    ],
)
def test_a_clause_is_not_cut_inside_numbers_quotations_or_brackets(text: str) -> None:
    assert len(cut(text, SentenceSettings(first_length=10))) == 1


@pytest.mark.parametrize(
    ("text", "language", "fragments"),
    [
        (
            "An old keeper lived in a lighthouse at the edge of the sea. One night a fox came.",
            "en",
            ["An old keeper lived in a lighthouse ", "at the edge of the sea. ", "One night a fox came."],
        ),
        (
            "Der alte Wärter wohnte in einem Leuchtturm am Rand des Meeres und war nie allein.",
            "de",
            ["Der alte Wärter wohnte in einem Leuchtturm ", "am Rand des Meeres und war nie allein."],
        ),
        (
            "The captain of the boat came from under the bridge and waved.",
            "en",
            ["The captain of the boat came from under the bridge ", "and waved."],
        ),
        (
            "Take the first hundred, then 200 and 300 for the rest",
            "en",
            ["Take the first hundred, then 200 and 300 for the rest"],
        ),
    ],
)
def test_the_first_fragment_may_end_before_a_phrase(text: str, language: str, fragments: list[str]) -> None:
    assert texts(cut(text, SentenceSettings(first_length=24), language)) == fragments


@pytest.mark.parametrize(
    "opened",
    [
        'He told her "the boats come home in the evening at the latest',
        "Read [the complete guide to small boats around the island](https://a.b/c) first",
        "The old lamp (which nobody had lit in forty years with any luck) burned",
        "The **old keeper of the lighthouse at the edge of the sea** smiled",
        "| the keeper of the lighthouse | at the edge of the sea |",
    ],
)
def test_no_phrase_ends_inside_what_belongs_together(opened: str) -> None:
    assert texts(cut(opened, SentenceSettings())) == [opened]


def test_a_text_that_is_there_already_is_not_cut_at_phrases() -> None:
    text = (
        "An old keeper lived in a lighthouse at the edge of the sea, and every evening in all those years "
        "he climbed the stairs, and lit the lamp."
    )
    buffer = SentenceBuffer(SentenceSettings(), being_written=False)
    first, second = "An old keeper lived in a lighthouse at the edge of the sea, ", text.partition(", ")[2]
    assert texts([*buffer.push(text), *buffer.flush()]) == [first, second]


def test_text_after_a_flush_is_cut_by_itself_alone() -> None:
    buffer = SentenceBuffer(SentenceSettings(max_length=40))
    before = [*buffer.push("Let me look that up for you at once and"), *buffer.flush()]
    after = [*buffer.push("x" * 200), *buffer.flush()]
    assert "".join(texts(before)) == "Let me look that up for you at once and"
    assert "".join(texts(after)) == "x" * 200
    assert all(one.end > one.start for one in (*before, *after))


def test_a_turn_that_wants_whole_sentences_gets_no_phrases() -> None:
    text = "An old keeper lived in a lighthouse at the edge of the sea."
    assert texts(cut(text, SentenceSettings(first_length=None))) == [text]


def test_the_first_words_need_not_wait_for_a_clause() -> None:
    settings = SentenceSettings(first_threshold=20)
    first, *rest = texts(cut("A man who walked along the river one day found a boat and took it.", settings))
    assert first == "A man who walked along "
    assert rest == ["the river one day found a boat and took it."]
