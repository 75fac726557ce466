"""Pronunciation dictionaries: what is said changes, what is shown does not, and no expression takes long."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tts.normalisation.draft import SpokenText
from pipeline.tts.normalisation.spoken_text import Reading, to_spoken
from pipeline.tts.pronunciations import check_entries, dictionary_of
from schemas.errors import InputError, PatternInvalid
from schemas.speech_style import PronunciationEntry


def entry(**given_fields: Any) -> PronunciationEntry:
    return PronunciationEntry.model_validate(given_fields)


NGINX = entry(word="nginx", respelling="engine ex")
SQL = entry(word="SQL", ipa="ˈsiːkwəl", case_sensitive=True)


def said(text: str, *entries: PronunciationEntry, language: str = "en") -> SpokenText:
    return to_spoken(text, language, reading=Reading(dictionary_of(entries)))


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("NGINX, nginx.", "engine ex, engine ex."),
        ("The nginxes stay.", "The nginxes stay."),
        ("See nginx.org now.", "See nginx dot org now."),
        ("**nginx** runs.", "engine ex runs."),
    ],
)
def test_a_word_is_respelt_where_it_stands_as_a_whole(text: str, spoken: str) -> None:
    assert said(text, NGINX).text == spoken


def test_an_entry_of_one_case_leaves_the_other_cases_alone() -> None:
    made = said("SQL and sql", SQL)
    assert [(made.text[start:end], ipa) for start, end, ipa in made.phonemes] == [("SQL", "ˈsiːkwəl")]


def test_a_regular_expression_is_respelt() -> None:
    assert said("Use v5.", entry(pattern=r"\bv[0-9]+", respelling="that version")).text == "Use that version."


def test_an_entry_of_another_language_changes_nothing() -> None:
    german = entry(word="die", respelling="dee", language="de")
    assert said("They die.", german).text == "They die."
    assert said("Ja, die Frau.", german, language="de-AT").text == "Ja, dee Frau."


def test_the_first_entry_that_fits_counts() -> None:
    assert said("nginx", entry(word="nginx", respelling="mine"), NGINX).text == "mine"


def test_an_empty_respelling_is_not_said() -> None:
    assert said("Well (sic) done.", entry(pattern=r"\(sic\) ", respelling="")).text == "Well done."


def test_words_of_a_respelling_point_at_the_word_that_is_shown() -> None:
    text = "We use nginx here."
    made = said(text, NGINX)
    at = made.text.index("engine ex")
    for start, end in ((at, at + 6), (at + 7, at + 9)):
        assert text[slice(*made.shown_range(start, end))] == "nginx"
    here = made.text.index("here")
    assert text[slice(*made.shown_range(here, here + 4))] == "here"


@given(st.text(max_size=80), st.text(min_size=1, max_size=8).filter(str.strip), st.text(max_size=8))
def test_any_text_and_any_word_give_a_text_whose_words_lie_in_the_shown_one(
    text: str, word: str, respelling: str
) -> None:
    made = said(text, entry(word=word, respelling=respelling), entry(word=word[::-1], ipa="a"))
    assert all(0 <= span.shown_start <= span.shown_end <= len(text) for span in made.spans)
    assert all(0 <= start < end <= len(made.text) for start, end, _ in made.phonemes)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*)*b", "(a?){200}a{200}", ".*.*.*.*.*=x"])
def test_an_expression_that_would_backtrack_for_ever_takes_no_time(pattern: str) -> None:
    begun = time.process_time()
    said("a" * 1_999 + "!", entry(pattern=pattern, respelling="x"))
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("pattern", ["(a", r"(?<=a)b", r"(a)\1", "((a{99}){99}){99}"])
def test_an_expression_that_is_none_or_too_large_is_refused_by_its_place(pattern: str) -> None:
    with pytest.raises(PatternInvalid, match="RE2") as refused:
        check_entries([NGINX, entry(pattern=pattern, respelling="")], field="pronunciations")
    assert (refused.value.code, refused.value.field) == ("pronunciation.pattern", "pronunciations.1.pattern")
    assert said("aba", entry(pattern=pattern, respelling="x")).text == "aba"


@pytest.mark.parametrize(
    ("ipa", "named"),
    [
        ("1234 漢字", "'1'"),
        ("漢字", "'漢'"),
        ("ˈsiːkwəl!", "'!'"),
        ("SQL", "'S'"),
        ("шпионка", "'ш'"),
        ("/ˈsiːkwəl/", "'/'"),
        ("ˈ ː", "no letter of a sound"),
    ],
)
def test_a_malformed_pronunciation_is_refused_by_its_place_and_character(ipa: str, named: str) -> None:
    with pytest.raises(InputError, match=f"is no IPA.*{named}") as refused:
        check_entries([SQL, entry(word="a", ipa=ipa)], field="pronunciations")
    assert (refused.value.code, refused.value.field) == ("input.invalid", "pronunciations.1.ipa")


@pytest.mark.parametrize(
    "ipa", ["ˈʃɔʁʃ", "t͡ʃəˈlɛnd͡ʒ", "ma˥˩", "ɲõ", "açaˈi", "kʷʰaˀ", "ˌdʒɪf.", "ˈfɑː(ɹ)", "ǃxóõ", "b'ɔ:ks"]
)
def test_ipa_of_many_languages_is_taken(ipa: str) -> None:
    check_entries([entry(word="a", ipa=ipa)], field="pronunciations")


def test_emoji_are_named_where_that_is_wished_and_silent_elsewhere() -> None:
    named = Reading(names_emoji=True)
    assert to_spoken("I like it 👍👍!", "en", reading=named).text == "I like it, thumbs up!"
    assert to_spoken("Gut 😀", "de", reading=named).text == "Gut, grinsendes gesicht"
    assert to_spoken("I like it 👍!", "en").text == "I like it!"
    assert to_spoken("Hyvä 😀", "fi", reading=named).text == "Hyvä"


def test_expressions_of_one_dictionary_are_small_enough_together() -> None:
    hostile = entry(pattern=r"[^#]{0,500}#", respelling="x")
    with pytest.raises(PatternInvalid, match="too large together") as refused:
        check_entries([hostile] * 64, field="settings.pronunciations")
    assert refused.value.field == "settings.pronunciations.1.pattern"
    check_entries([entry(pattern=r"\bv[0-9]+\b", respelling="that version")] * 64, field="pronunciations")
    imported = dictionary_of(
        (hostile, *[hostile.model_copy(update={"respelling": str(n)}) for n in range(63)], NGINX)
    )
    assert len(imported.entries) == 2, "one that fits, and the word"
