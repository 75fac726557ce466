"""A wrong word counts, another way of writing it does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.stt.evaluation.word_error_rate import WordErrors, altogether, spoken_words, word_errors

TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)
WORDS = ("we", "go", "to", "the", "sea", "at", "nine", "and", "see", "ships")
SENTENCES = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("and mister john dashwood had then leisure", "And Mr. John Dashwood had then leisure."),
        ("four queen of clubs", "4 Queen of Clubs!"),
        ("go forward ten meters", "Go forward 10 metres."),
        ("the twenty first of may", "The 21st of May"),
        ("one hundred five", "one hundred and 5"),
        ("three point five percent", "3.5%"),
        ("it cost twelve dollars", "It cost $12."),
        ("one thousand two hundred", "1,200"),
        ("zero one seven", "017"),
        ("that's all right", "That’s alright"),
        ("well we cannot", "Well, we can not..."),
    ],
)
def test_case_punctuation_numbers_and_spelling_are_no_errors(said: str, written: str) -> None:
    assert spoken_words(said) == spoken_words(written)


@pytest.mark.timeout(20)
def test_a_long_row_of_digits_takes_no_longer_than_its_length() -> None:
    """Not with its square, for which each digit would be the beginning of another ordinal."""
    assert len(spoken_words("1" * 50_000)) == 50_000


def test_numbers_are_said_in_the_language_of_the_text() -> None:
    assert spoken_words("Um 21 Uhr", "de") == ["um", "einundzwanzig", "uhr"]


def test_a_language_without_number_words_keeps_its_digits() -> None:
    assert spoken_words("mae 12 yma", "cy-x")[1:] != []
    assert spoken_words("12 azertyop", "zz") == ["12", "azertyop"]


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("he was not an ill disposed young man", "he was not an ill disposed young man", 0),
        ("he was not an ill disposed young man", "he was an ill disposed young man", 1),
        ("he was not an ill disposed young man", "he was not an ill exposed young young man", 2),
        ("he was", "", 2),
    ],
)
def test_changed_missing_and_extra_words_are_counted(said: str, heard: str, errors: int) -> None:
    assert word_errors(said, heard) == WordErrors(len(said.split()), errors)


def test_where_nothing_was_said_every_word_heard_is_an_error_and_there_is_no_rate() -> None:
    found = word_errors(" ... ", "thank you")
    assert (found.errors, found.rate) == (2, None)


def test_every_word_counts_alike_in_a_total() -> None:
    total = altogether([WordErrors(9, 0), WordErrors(1, 1)])
    assert total == WordErrors(10, 1)
    assert total.rate == pytest.approx(0.1)


@given(TEXTS)
def test_words_that_are_plain_stay_as_they_are(text: str) -> None:
    once = spoken_words(text)
    assert spoken_words(" ".join(once)) == once


@given(TEXTS, TEXTS)
def test_no_text_has_an_error_against_itself_and_none_more_than_all_words(left: str, right: str) -> None:
    assert word_errors(left, left).errors == 0
    assert word_errors(left, right).errors <= max(len(spoken_words(left)), len(spoken_words(right)))


@given(SENTENCES, SENTENCES)
def test_errors_are_the_same_from_either_side(left: str, right: str) -> None:
    assert word_errors(left, right).errors == word_errors(right, left).errors
