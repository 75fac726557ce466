"""Words on which two transcripts agree are final; the rest may still change."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.stt.agreement import Agreement


def pushed(*texts: str) -> list[tuple[str, str]]:
    """After each text: what is stable, and what else is shown."""
    agreement = Agreement()
    results = [agreement.push(text) for text in texts]
    return [(shown[:stable], shown[stable:]) for shown, stable in results]


def test_the_first_text_is_shown_and_nothing_of_it_is_stable() -> None:
    assert pushed("tell me a story") == [("", "tell me a story")]


def test_words_that_were_guessed_twice_are_stable() -> None:
    assert pushed("tell me a", "tell me a story about")[-1] == ("tell me a", " story about")


def test_a_word_that_was_cut_off_is_not() -> None:
    assert pushed("tell me a sto", "tell me a story")[-1] == ("tell me a", " story")


def test_stable_words_stay_as_they_were_written() -> None:
    texts = pushed("We saw Mr Smith", "We saw Mr Smith here", "we saw mister smith here today")
    assert texts[-1] == ("We saw Mr Smith here", " today")


def test_case_and_punctuation_are_no_disagreement() -> None:
    assert pushed("so, tell me", "So tell me more")[-1] == ("So tell me", " more")


def test_a_full_stop_at_the_end_of_the_sound_means_nothing() -> None:
    texts = pushed("I want to go.", "I want to go.", "I want to go home.")
    assert texts[1] == ("I want to go", ".")
    assert texts[2] == ("I want to go", " home.")


def test_punctuation_inside_becomes_stable_with_the_word_after_it() -> None:
    texts = pushed("Well, I go. Now", "Well, I go. Now", "Well, I go. Now what", "Well, I go. Now what")
    assert texts[-1] == ("Well, I go. Now what", "")


def test_a_text_that_shrinks_takes_nothing_stable_back() -> None:
    texts = pushed("one two three", "one two three four", "one two")
    assert texts[-1] == ("one two three", "")


@pytest.mark.parametrize("empty", ["", "   ", "...", "-"])
def test_an_empty_text_shows_what_is_stable(empty: str) -> None:
    assert pushed(empty) == [("", "")]
    assert pushed("one two", "one two", empty)[-1] == ("one two", "")


def test_a_stable_word_that_is_heard_differently_later_does_not_stop_the_rest() -> None:
    texts = pushed("the see is", "the see is", "the sea is wide", "the sea is wide")
    assert texts[-1] == ("the see is wide", "")


def test_words_that_come_in_between_later_are_not_shown_twice() -> None:
    texts = pushed("go forward ten", "go forward ten", "please go forward ten meters")
    assert texts[-1] == ("go forward ten", " meters")


def test_a_quite_different_text_follows_what_is_stable() -> None:
    texts = pushed("one two", "one two", "red green blue grey", "red green blue grey")
    assert texts[-1] == ("one two blue grey", "")


def test_writing_without_blanks_is_compared_by_characters() -> None:
    assert pushed("今日は天", "今日は天気がいい")[-1] == ("今日は天", "気がいい")


def test_marks_of_other_scripts_are_part_of_their_words() -> None:
    assert pushed("नमस्ते दुनिया", "नमस्ते दुनिया")[-1] == ("नमस्ते दुनिया", "")


def test_words_that_are_taken_back_are_counted() -> None:
    agreement = Agreement()
    agreement.push("I want two")
    assert agreement.revisions == 0
    agreement.push("I want to go")
    assert agreement.revisions == 1
    agreement.push("I want")
    assert agreement.revisions == 3
    assert agreement.final("I want to go") == 3


def test_the_last_text_may_take_back_what_was_stable() -> None:
    agreement = Agreement()
    agreement.push("the see is")
    agreement.push("the see is")
    assert agreement.final("The sea is wide.") == 1


def test_other_case_and_punctuation_take_nothing_back() -> None:
    agreement = Agreement()
    agreement.push("well I think")
    agreement.push("Well, I think so")
    assert agreement.final("Well, I think so.") == 0


texts_ = st.lists(
    st.lists(
        st.sampled_from(
            ["go", "Go,", "going", "on.", "ten", "10", "-", "…", "it's", "«so»", "天", "天気", "!"]
        ),
        max_size=8,
    ).map(" ".join)
    | st.text(max_size=20),
    max_size=12,
)


@settings(deadline=None)
@given(texts_)
def test_the_stable_part_never_changes_and_never_shrinks(texts: list[str]) -> None:
    agreement, before = Agreement(), ""
    for text in texts:
        shown, stable = agreement.push(text)
        assert 0 <= stable <= len(shown)
        assert shown[:stable].startswith(before)
        assert shown == shown.strip()
        before = shown[:stable]


@settings(deadline=None)
@given(texts_, st.text(max_size=20))
def test_a_text_that_was_guessed_twice_at_the_end_is_all_stable(texts: list[str], last: str) -> None:
    agreement = Agreement()
    for text in [*texts, last]:
        agreement.push(text)
    shown, stable = agreement.push(last)
    assert not any(each.isalnum() for each in shown[stable:])


@settings(deadline=None)
@given(texts_)
def test_revisions_only_grow(texts: list[str]) -> None:
    agreement, before = Agreement(), 0
    for text in texts:
        agreement.push(text)
        assert agreement.revisions >= before
        before = agreement.revisions
    assert agreement.final("") >= before


@settings(deadline=None)
@given(st.lists(st.sampled_from(["one", "two", "three", "four"]), min_size=1, max_size=12))
def test_a_text_that_only_grows_is_never_taken_back(words: list[str]) -> None:
    agreement = Agreement()
    for count in range(len(words) + 1):
        shown, stable = agreement.push(" ".join(words[:count]))
        assert shown == " ".join(words[:count])
        assert shown[:stable] == " ".join(words[: max(count - 1, 0)])
    assert agreement.final(" ".join(words)) == 0
