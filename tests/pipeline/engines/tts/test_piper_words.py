"""Every word of a text is found in its pronunciation, however the voice joins and splits words."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engines.tts.piper_words import locate, pieces, speakable


def located(alone: list[str], whole: str) -> list[str | None]:
    ranges = locate(alone, list(whole))
    return [whole[round(place[0]) : round(place[1])] if place else None for place in ranges]


def test_words_are_found_in_their_groups() -> None:
    assert located(["ðə", "kˈiːpɚ", "slˈɛpt"], "ðə kˈiːpɚ slˈɛpt.") == ["ðə", "kˈiːpɚ", "slˈɛpt"]


def test_joined_words_are_told_apart() -> None:
    alone = ["wˈʌn", "ˈʌv", "ðə", "bˈɛst", "ɪz", "ɪn", "ðə", "hˈaʊs"]
    assert located(alone, "wˈʌn ʌvðə bˈɛst ɪz ɪnðə hˈaʊs") == [
        "wˈʌn",
        "ʌv",
        "ðə",
        "bˈɛst",
        "ɪz",
        "ɪn",
        "ðə",
        "hˈaʊs",
    ]


def test_a_word_may_be_several_groups() -> None:
    alone = ["ɪn", "nˈaɪntiːn nˈaɪnti fˈaɪv", "hiː"]
    assert located(alone, "ɪn nˈaɪntiːn nˈaɪnti fˈaɪv hiː") == alone


def test_the_pause_after_a_word_is_not_part_of_it() -> None:
    assert located(["wˈɛl", "jˈɛs"], "wˈɛl, jˈɛs!") == ["wˈɛl", "jˈɛs"]


def test_a_dash_is_not_heard() -> None:
    assert located(["jˈɛs", "", "nˈoʊ"], "jˈɛs; nˈoʊ") == ["jˈɛs", None, "nˈoʊ"]


phonemes = st.text("aeɪʌnstkmðˈ ", max_size=12)


@given(st.lists(phonemes, min_size=1, max_size=30), st.text("aeɪʌnstkmðˈ .,", min_size=1, max_size=200))
def test_words_stay_in_order_and_inside_whatever_was_pronounced(alone: list[str], whole: str) -> None:
    places = locate(alone, list(whole))
    assert [place is None for place in places] == [not word for word in alone]
    found = [place for place in places if place is not None]
    assert all(0 <= start <= end <= len(whole) for start, end in found)
    assert all(one[1] <= two[0] for one, two in pairwise(found))


@given(st.text(max_size=3_000))
def test_pieces_lose_no_character_and_stay_short(text: str) -> None:
    groups = pieces(text)
    words = [word for group in groups for word in group]
    assert "".join(word.text for word in words) == "".join(text.split())
    assert all(text[word.start : word.end] == word.text for word in words)
    assert all(group and group[-1].end - group[0].start <= 300 for group in groups)


def test_long_texts_are_cut_after_a_clause() -> None:
    text = "The keeper lit the lamp, and the fox came by. " * 20
    assert all(group[-1].text in ("lamp,", "by.") for group in pieces(text))


def test_the_phonemizer_is_given_nothing_that_it_would_drop() -> None:
    (group,) = pieces("Hello [[wat]] " + "w" * 75)
    given_text = speakable(group)
    assert "[" not in given_text
    assert max(map(len, given_text.split())) <= 32
    assert given_text.count("w") == 76


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("He said 你好 and left.", "He said NiHao and left."),
        ("The word спасибо means thanks.", "The word spasibo means thanks."),
        ("Café, naïve, Łódź and 5 µm of π stay.", "Café, naïve, Łódź and 5 µm of π stay."),
    ],
)
def test_a_few_foreign_words_are_read_in_latin_letters_by_a_voice_that_knows_no_others(
    text: str, read: str
) -> None:
    (words,) = pieces(text, "en-US")
    assert " ".join(word.text for word in words) == read
    assert [text[word.start : word.end] for word in words] == text.split()
    assert [word.text for word in pieces(text, "ru")[0]] == text.split()
