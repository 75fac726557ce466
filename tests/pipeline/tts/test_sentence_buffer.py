"""Cutting of text: the properties first, then cases as a careful reader would decide them."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.tts.boundary_rules import may_cut
from pipeline.tts.sentence_buffer import SentenceBuffer
from schemas.settings import SentenceSettings
from tests.pipeline.engines.tts.sentences_in_scripts import SENTENCES, text_of
from tests.pipeline.tts import sentence_cases
from tests.pipeline.tts.cutting import cut, texts

WHOLE_SENTENCES = SentenceSettings(min_length=1, first_length=None)

PIECES = st.sampled_from(
    [
        *" .!?,;:…\n\t()[]\"'“”„«»`*#-—~|>0123456789aZß。！「」\u00a0\u0301\u200d\ufe0f\r\u2028",
        *(
            "Dr.",
            "z. B.",
            "e.g. ",
            "U.S. ",
            "No. 5",
            "p.m. ",
            "3. Oktober",
            "am 3.",
            "... ",
            "I ",
            "The ",
            "word ",
            "at ",
            "and ",
            "auf ",
        ),
        *(
            "\n\n",
            "\n- ",
            "\n1. ",
            "```",
            "\n```\n",
            "\n~~~\n",
            "# ",
            "| a |\n",
            "https://a.b/c?d. ",
            "a@b.c",
            "1,299.00",
        ),
        *(
            "।",
            "؟",
            "۔",
            "።",
            "။",
            "។",
            "՞",
            "։",
            "」",
            "』と",
            "、",
            "ทาน ",
            "ๆ ",
            "ไทย",
            "ລາວ ",
            "कि",
            "Sr. ",
            "ul. ",
        ),
        *(
            "👨‍👩‍👧",
            "🇩🇪",
            "😀 ",
            "한국",
            "각",
            "क्षि",
            "\U0001f3fd",
            "x" * 30,
            "lorem ipsum dolor " * 5,
            "\ud800",
        ),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=8), max_size=60).map("".join)
SETTINGS = st.builds(
    SentenceSettings,
    min_length=st.integers(1, 80),
    first_length=st.none() | st.integers(4, 80),
    threshold=st.none() | st.integers(10, 120),
    first_threshold=st.none() | st.integers(10, 80),
    max_length=st.integers(40, 160),
)
LANGUAGES = st.sampled_from(["en", "de", "fr", "el", "th", "ja", "hi", "pl"])


@example("\ud800. Encore une phrase.", SentenceSettings(), "fr", ())
@given(TEXTS, SETTINGS, LANGUAGES, st.lists(st.integers(0, 12)).map(tuple))
def test_how_a_text_is_split_into_deltas_never_changes_the_fragments(
    text: str, settings: SentenceSettings, language: str, sizes: tuple[int, ...]
) -> None:
    whole = cut(text, settings, language)
    assert cut(text, settings, language, sizes) == whole
    assert cut(text, settings, language, (1,) * len(text)) == whole


@given(TEXTS, SETTINGS, LANGUAGES)
def test_no_text_is_lost_and_no_fragment_is_empty_or_too_long(
    text: str, settings: SentenceSettings, language: str
) -> None:
    at = 0
    for fragment in cut(text, settings, language):
        assert fragment.start == at < fragment.end
        assert fragment.text == text[fragment.start : fragment.end]
        assert len(fragment.text) <= settings.max_length
        at = fragment.end
    assert at == len(text)


@given(TEXTS, SETTINGS, LANGUAGES)
def test_no_cut_splits_what_a_reader_sees_as_one_character(
    text: str, settings: SentenceSettings, language: str
) -> None:
    for fragment in cut(text, settings, language)[1:]:
        around = range(max(1, fragment.start - 39), fragment.start)
        unavoidable = not any(may_cut(text, at) for at in around)
        assert unavoidable or may_cut(text, fragment.start)


@given(TEXTS, SETTINGS, LANGUAGES)
def test_blanks_belong_to_the_fragment_before_them(
    text: str, settings: SentenceSettings, language: str
) -> None:
    fragments = cut(text, settings, language)
    for before, fragment in pairwise(fragments):
        assert not fragment.text[0].isspace() or len(before.text) > settings.max_length - 39


@given(TEXTS, SETTINGS, LANGUAGES, st.integers(0, 200))
def test_fragments_that_are_out_were_cut_without_knowing_the_rest(
    text: str, settings: SentenceSettings, language: str, known: int
) -> None:
    early = SentenceBuffer(settings, language).push(text[:known])
    assert early == cut(text, settings, language)[: len(early)]


def expected(case: str) -> list[str]:
    """The sentences that a case stands for; "¦" stands for a bar in the text itself."""
    return [sentence.replace("¦", "|") for sentence in case.split("|")]


@pytest.mark.parametrize("case", sentence_cases.ENGLISH.values(), ids=sentence_cases.ENGLISH.keys())
def test_english_is_cut_as_a_reader_would(case: str) -> None:
    sentences = expected(case)
    assert texts(cut("".join(sentences), WHOLE_SENTENCES)) == sentences


@pytest.mark.parametrize("case", sentence_cases.WITHOUT_CAPITALS)
def test_a_text_without_capitals_is_cut_as_a_reader_would(case: str) -> None:
    sentences = expected(case)
    assert texts(cut("".join(sentences), WHOLE_SENTENCES)) == sentences


@pytest.mark.parametrize("case", sentence_cases.GERMAN.values(), ids=sentence_cases.GERMAN.keys())
def test_german_is_cut_as_a_reader_would(case: str) -> None:
    sentences = expected(case)
    assert texts(cut("".join(sentences), WHOLE_SENTENCES, "de")) == sentences


@pytest.mark.parametrize("case", sentence_cases.MORE_ENGLISH)
def test_more_english_is_cut_as_a_reader_would(case: str) -> None:
    sentences = expected(case)
    assert texts(cut("".join(sentences), WHOLE_SENTENCES)) == sentences


@pytest.mark.parametrize("case", sentence_cases.MORE_GERMAN)
def test_more_german_is_cut_as_a_reader_would(case: str) -> None:
    sentences = expected(case)
    assert texts(cut("".join(sentences), WHOLE_SENTENCES, "de")) == sentences


@pytest.mark.parametrize("case", sentence_cases.OTHER.values(), ids=sentence_cases.OTHER.keys())
def test_other_scripts_are_cut_at_their_own_marks(case: str) -> None:
    sentences = expected(case)
    assert texts(cut("".join(sentences), WHOLE_SENTENCES)) == sentences


def test_a_stop_is_believed_only_when_the_next_word_is_seen() -> None:
    buffer = SentenceBuffer(WHOLE_SENTENCES)
    assert buffer.push("It costs 3.") == []
    assert buffer.push("50. ") == []
    assert texts(buffer.push("So")) == ["It costs 3.50. "]


def test_a_chinese_sentence_ends_at_its_mark() -> None:
    buffer = SentenceBuffer(WHOLE_SENTENCES)
    assert texts(buffer.push("你好。今")) == ["你好。"]


def test_a_short_sentence_waits_for_the_next_one() -> None:
    settings = SentenceSettings(min_length=20, first_length=None)
    assert texts(cut("Yes. I think that is right. No. Stop it.", settings)) == [
        "Yes. I think that is right. ",
        "No. Stop it.",
    ]


def test_a_paragraph_ends_even_a_short_sentence() -> None:
    settings = SentenceSettings(min_length=20, first_length=None)
    assert texts(cut("Yes.\n\nI think that is right.", settings)) == ["Yes.\n\n", "I think that is right."]


def test_with_a_threshold_long_sentences_are_cut_at_a_word() -> None:
    settings = SentenceSettings(min_length=1, first_length=None, threshold=10)
    assert texts(cut("One two three four five six. Seven", settings)) == [
        "One two three ",
        "four five six. ",
        "Seven",
    ]


def test_the_greatest_length_prefers_a_clause_then_a_word_then_anything() -> None:
    settings = SentenceSettings(first_length=None, max_length=40)
    assert (
        texts(cut("one two three four five six, seven eight nine ten", settings))[0]
        == "one two three four five six, "
    )
    assert (
        texts(cut("one two three four five six seven eight nine ten", settings))[0]
        == "one two three four five six seven eight "
    )
    assert [len(piece) for piece in texts(cut("x" * 100, settings))] == [40, 40, 20]


def test_long_code_is_cut_between_lines_and_marked_as_code() -> None:
    code = "```\n" + "".join(f"line {number} of it. Yes\n" for number in range(9)) + "```\n"
    fragments = cut(
        "Look at this:\n" + code + "It works.", SentenceSettings(first_length=None, max_length=60)
    )
    assert [fragment.code for fragment in fragments] == [False, *[True] * (len(fragments) - 2), False]
    assert all(fragment.text.endswith("\n") for fragment in fragments[:-1])


def test_quotation_marks_that_never_close_do_not_stop_the_cutting() -> None:
    text = 'A "quotation that is not closed. ' + "Here is another sentence of it. " * 20
    assert len(cut(text, WHOLE_SENTENCES)) > 10


@pytest.mark.parametrize(
    ("text", "standing"),
    [
        (
            "The lamp burned all night long over it. Then that moment",
            "The lamp burned all night long over it. ",
        ),
        ("One two three four. Five six seven eight.", "One two three four. Five six seven eight."),
        ("She said: “Go home now.” He", "She said: “Go home now.” "),
        ("- a first item here\n- another item\n- half of", "- a first item here\n- another item\n"),
        ("Steps to take in turn:\n7. Stir it well.\n8. 20", "Steps to take in turn:\n7. Stir it well.\n"),
        ("灯亮了一整夜。然后那一刻", "灯亮了一整夜。"),
        ("No end here at all", "No end here at all"),
        (
            "When the sun rises over the old lighthouse on the cliff, the keepers begin to",
            "When the sun rises over the old lighthouse on the cliff, the keepers begin to",
        ),
        (
            "Here is some code for it.\n\n```py\ndef x(): pa",
            "Here is some code for it.\n\n```py\ndef x(): pa",
        ),
    ],
)
def test_of_a_text_that_was_cut_short_whole_sentences_stand(text: str, standing: str) -> None:
    buffer = SentenceBuffer(SentenceSettings(), "en")
    fragments = [*buffer.push(text), *buffer.flush(cut_short=True)]
    assert "".join(fragment.text for fragment in fragments) == standing
    assert buffer.end == len(standing)


def test_nothing_yields_nothing() -> None:
    buffer = SentenceBuffer(WHOLE_SENTENCES)
    assert buffer.push("") == buffer.flush() == buffer.flush() == []


@pytest.mark.parametrize(
    ("language", "case"),
    [(language, case) for language, cases in sentence_cases.BY_LANGUAGE.items() for case in cases],
)
def test_every_language_is_cut_by_its_own_marks_and_abbreviations(language: str, case: str) -> None:
    sentences = expected(case)
    assert texts(cut("".join(sentences), WHOLE_SENTENCES, language)) == sentences


@pytest.mark.parametrize("language", [language for language in SENTENCES if language != "th"])
def test_ten_sentences_of_a_script_are_ten_in_any_session(language: str) -> None:
    for session in (language, "en"):
        found = [text.strip() for text in texts(cut(text_of(language), WHOLE_SENTENCES, session))]
        if (language, session) != ("el", "en"):  # whose question mark is a semicolon
            assert tuple(found) == SENTENCES[language]


def test_thai_is_cut_at_blanks_once_it_is_long_enough() -> None:
    found = texts(cut(text_of("th"), WHOLE_SENTENCES, "th"))
    assert "".join(found) == text_of("th")
    assert all(40 <= len(text.strip()) <= 110 for text in found[:-1])
    assert not any(text.endswith("ๆ ") for text in found)


def test_a_short_sentence_of_wide_letters_counts_each_as_three() -> None:
    settings = SentenceSettings(min_length=20, first_length=None)
    assert texts(cut("今天天气很好！我们去散步吧。", settings)) == ["今天天气很好！", "我们去散步吧。"]
    assert texts(cut("好。好。", settings)) == ["好。好。"]


def test_a_short_sentence_does_not_join_one_in_another_script() -> None:
    settings = SentenceSettings(min_length=20, first_length=None)
    assert texts(cut("你好。How are you?", settings)) == ["你好。", "How are you?"]
    assert texts(cut("Hi. 你好。", settings)) == ["Hi. ", "你好。"]
