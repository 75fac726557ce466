"""The subset of SSML: what is shown, which marks there are, and what is refused by name."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tts.normalisation.spoken_text import Reading, to_spoken
from pipeline.tts.sentence_manner import cuts_of, manner_of
from pipeline.tts.ssml import is_ssml, parse
from schemas.errors import MarkupInvalid
from schemas.speech_style import PauseSettings, SpeechMark

_NESTED = "<prosody rate='90%'><prosody rate='80%'>b</prosody></prosody>"


def said(inner: str) -> str:
    text, marks = parse(f"<speak>{inner}</speak>")
    return to_spoken(text, "en", reading=Reading(marks=marks).within(0, len(text))).text


def test_the_shown_text_is_without_the_marks() -> None:
    text, marks = parse(
        '<speak>One <break time="1.5s"/>two &amp; <prosody rate="80%">three</prosody>.</speak>'
    )
    assert text == "One two & three."
    assert [(mark.kind, text[mark.start : mark.end], mark.value) for mark in marks] == [
        ("break", "", "1500"),
        ("rate", "three", "0.8"),
    ]


@pytest.mark.parametrize(
    ("inner", "spoken"),
    [
        ('<say-as interpret-as="characters">WHO</say-as>', "W, H, O"),
        ('<say-as interpret-as="digits">1066</say-as>', "one zero six six"),
        ('<say-as interpret-as="telephone">555-0172</say-as>', "five five five, zero one seven two"),
        ('<say-as interpret-as="cardinal">007</say-as>', "seven"),
        ('the <say-as interpret-as="ordinal">3</say-as> time', "the third time"),
    ],
)
def test_text_is_said_as_it_says(inner: str, spoken: str) -> None:
    assert said(inner) == spoken


def test_a_pronunciation_is_of_the_words_it_stands_around_and_must_be_followed() -> None:
    text, marks = parse('<speak>A ripe <phoneme alphabet="ipa" ph="təˈmeɪtoʊ">tomato</phoneme>.</speak>')
    made = to_spoken(text, "en", reading=Reading(marks=marks).within(0, len(text)))
    assert [(made.text[start:end], ipa) for start, end, ipa in made.phonemes] == [("tomato", "təˈmeɪtoʊ")]
    assert made.required


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("<speak>a<voice name='x'>b</voice></speak>", "<voice>"),
        ("<speak>a", "well-formed"),
        ("<speak>a<break time='11s'/></speak>", "<break>"),
        ("<speak>a<break length='1s'/></speak>", "<break> takes no 'length'"),
        ("<speak><say-as interpret-as='date'>1</say-as></speak>", "<say-as>"),
        ("<speak><phoneme alphabet='x-sampa' ph='a'>1</phoneme></speak>", "<phoneme>"),
        ("<speak><phoneme>1</phoneme></speak>", "<phoneme>"),
        ("<speak><phoneme ph='1234 漢字'>1</phoneme></speak>", "<phoneme> has a ph that is no IPA: '1'"),
        ("<speak><prosody pitch='high'>a</prosody></speak>", "<prosody> takes no 'pitch'"),
        ("<speak><prosody rate='9'>a</prosody></speak>", "<prosody>"),
        ("<speak><speak>a</speak></speak>", "<speak>"),
        ("<speak> <break/> </speak>", "no text"),
        ("<speak>&nothing;</speak>", "well-formed"),
        (f"<speak>{'<p>' * 17}a{'</p>' * 17}</speak>", "<p>"),
        (f"<speak>a{'<break/>' * 1_001}</speak>", "<break>"),
        (f"<speak>a{'<break/>' * 999}{_NESTED}</speak>", "<prosody>"),
    ],
)
def test_an_element_outside_the_subset_is_refused_by_its_name(text: str, named: str) -> None:
    with pytest.raises(MarkupInvalid) as refused:
        parse(text)
    assert named in str(refused.value)
    assert (refused.value.code, refused.value.field) == ("ssml.invalid", "text")


def test_entities_that_multiply_are_refused_before_they_do() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><speak>&b;</speak>'
    with pytest.raises(MarkupInvalid, match="document type"):
        parse(bomb)


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(inner: str) -> None:
    try:
        text, marks = parse(f"<speak>{inner}</speak>")
    except MarkupInvalid:
        return
    assert all(0 <= mark.start <= mark.end <= len(text) for mark in marks)


def test_a_text_is_ssml_by_its_first_element_only() -> None:
    assert is_ssml(' <speak version="1.1">a</speak>')
    assert not is_ssml("Say <speak>a</speak>")
    assert not is_ssml("<speaker>a</speaker>")


def test_a_text_is_cut_at_breaks_and_where_its_speed_changes() -> None:
    text, marks = parse('<speak>One <break time="1s"/>two <prosody rate="2">three</prosody> four.</speak>')
    assert [text[:cut] for cut in cuts_of(marks, text)] == ["One ", "One two ", "One two three "]
    pauses = PauseSettings()
    assert manner_of("One ", 0, pauses, marks).pause_ms == 1_000
    assert manner_of("three", 8, pauses, marks).speed(1.5) == 3.0
    assert manner_of("four.", 14, pauses, marks).speed(1.5) == 1.5


PLACES = st.integers(0, 50)


@given(st.text("a \n\u2003", max_size=40), st.lists(st.tuples(PLACES, PLACES), max_size=20))
def test_a_text_is_cut_behind_the_blanks_at_its_marks(text: str, places: list[tuple[int, int]]) -> None:
    marks = [SpeechMark(start=start, end=end, kind="rate", value="2") for start, end in places]
    cuts = {len(text) - len(text[place:].lstrip()) for pair in places for place in pair}
    assert cuts_of(marks, text) == sorted(cuts)


def test_a_long_text_is_looked_at_once_for_all_its_marks() -> None:
    text = "a" + " " * 400_000 + "b"
    marks = [SpeechMark(start=at, end=at + 1, kind="rate", value="2") for at in range(1, 200_001, 10)]
    began_s = process_time()
    assert cuts_of(marks, text) == [len(text) - 1]
    assert process_time() - began_s < 1


@pytest.mark.parametrize(
    ("text", "pause_ms"),
    [
        ("He left. ", 500),
        ("“He left.” ", 500),
        ("他走了。", 500),
        ("He left.\n\n", 900),
        ("# Heading\n", 900),
        ("an item\n", 500),
        ("When he left, ", None),
        ("and then", None),
    ],
)
def test_a_pause_is_as_long_as_what_ends_asks_for(text: str, pause_ms: int | None) -> None:
    assert manner_of(text, 0, PauseSettings(sentence_ms=500, paragraph_ms=900)).pause_ms == pause_ms
    assert manner_of(text, 0, PauseSettings()).pause_ms is None


def test_a_mark_holds_in_each_sentence_that_it_reaches() -> None:
    text, marks = parse('<speak>Call <say-as interpret-as="digits">12. Then 34</say-as> now.</speak>')
    reading, cut = Reading(marks=marks), text.index("Then")
    assert to_spoken(text[:cut], "en", reading=reading.within(0, cut)).text.startswith("Call one two")
    assert to_spoken(text[cut:], "en", reading=reading.within(cut, len(text))).text == "three four now."


def test_a_pronunciation_is_said_once_where_a_sentence_ends_inside_it() -> None:
    _, marks = parse('<speak><phoneme ph="sənt">St. Paul</phoneme></speak>')
    assert Reading(marks=marks).within(4, 8).marks == ()


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 30), st.sampled_from(("say-as", "phoneme"))), max_size=5
    )
)
def test_marks_of_an_import_may_be_anything(places: list[tuple[int, int, str]]) -> None:
    values = {"say-as": "characters", "phoneme": "ə"}
    marks = tuple(
        SpeechMark.model_validate({"start": start, "end": end, "kind": kind, "value": values[kind]})
        for start, end, kind in places
    )
    text = "Call 12 now. Then go."
    spoken = to_spoken(text[:13], "en", reading=Reading(marks=marks).within(0, 13))
    starts = [span.shown_start for span in spoken.spans]
    assert starts == sorted(starts)
