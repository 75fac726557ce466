"""Sentences of an answer are matched with the passages that they rest on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rag.citations import supports
from schemas.settings.retrieval_settings import CollectionId, NumberedPassage, SearchToolConfig
from tests.support.asked_turns import COLLECTION, passage

TEXTS = (
    "The lighthouse was built in 1854 by the engineer Robert Stone.",
    "Foxes live in dens and hunt at night for mice.",
)


def numbered(*texts: str) -> list[NumberedPassage]:
    found = (passage(text, CollectionId(COLLECTION), SearchToolConfig()) for text in texts)
    return [NumberedPassage(number=number, **one.model_dump()) for number, one in enumerate(found, 1)]


PASSAGES = numbered(*TEXTS)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (
            "It was built in 1854 [1]. Foxes hunt at night [2]. Nobody knows.",
            [(1, "It was built in 1854"), (2, "Foxes hunt at night")],
        ),
        ("Built in 1854. [1] Foxes do.[2]", [(1, "Built in 1854."), (2, "Foxes do.")]),
        ("Foxes sleep by day.[1][2]", [(1, "Foxes sleep by day."), (2, "Foxes sleep by day.")]),
        ("The tower [1] and a fox [2, 1] met.", [(1, "The tower"), (2, "and a fox"), (1, "and a fox")]),
        ("All of it [1-2].", [(1, "All of it"), (2, "All of it")]),
        ("Das steht da【1】.", [(1, "Das steht da")]),
        ("Something else [7]. [1]", [(1, "Something else")]),
        ("[1] leads nowhere", []),
        ("I like tea. It is warm.", []),
        ("", []),
    ],
)
def test_a_marker_says_what_the_words_before_it_rest_on(answer: str, found: list[tuple[int, str]]) -> None:
    assert [(one.number, answer[one.start : one.end]) for one in supports(answer, PASSAGES, "en")] == found


def test_an_answer_without_markers_is_traced_by_its_words() -> None:
    answer = "The lighthouse was built in 1854. I like tea and cake. Foxes hunt mice at night!"
    found = supports(answer, PASSAGES, "en")
    assert [(one.number, answer[one.start : one.end], one.by) for one in found] == [
        (1, "The lighthouse was built in 1854.", "words"),
        (2, "Foxes hunt mice at night!", "words"),
    ]


def test_a_sentence_with_another_number_than_its_passage_rests_on_nothing() -> None:
    assert supports("The lighthouse was built in 1845 by the engineer Robert Stone.", PASSAGES, "en") == ()
    assert supports("The lighthouse was built by the engineer Robert Stone.", PASSAGES, "en") != ()


def test_nothing_rests_on_passages_that_were_not_there() -> None:
    assert supports("It was built in 1854 [1].", [], "en") == ()


@given(st.text(st.sampled_from("[]【】0123456789,-. aFox\n!"), max_size=200))
def test_every_range_is_part_of_the_answer_and_of_a_known_passage(answer: str) -> None:
    for one in supports(answer, PASSAGES, "en"):
        assert 0 <= one.start < one.end <= len(answer)
        assert one.number in (1, 2)
