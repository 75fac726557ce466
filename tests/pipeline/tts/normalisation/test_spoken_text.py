"""Spoken text for shown text, and the way from the spoken back to the shown."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tts.normalisation import cldr
from pipeline.tts.normalisation.spoken_text import to_spoken
from tests.pipeline.tts.normalisation import spoken_cases

CLDR = json.loads(Path(cldr.__file__).with_name("cldr.json").read_bytes())
del CLDR["_licence"]
PIECES = st.sampled_from(
    [
        *" .,:;!?-–—/%$€£°#*_`~|<>()[]{}&@+=\\^'\"\n\t0123456789aZß\u00a0\u0301\u200d\ufe0f\x00\ud800½①²",
        *(
            "Dr. ",
            "z. B. ",
            "St. ",
            "No. ",
            "a.m. ",
            "3. Oktober ",
            "Oct. ",
            "2024-10-03",
            "31/12/1999",
            "5:30 p.m.",
            "1,000",
        ),
        *(
            "km/h",
            " °C",
            "€ 5",
            "http://",
            "www.a.b/c",
            "a@b.de",
            "main.py",
            "v1.2.3",
            "+49 ",
            "1990s",
            "3rd",
            "99999999",
        ),
        *(
            "```",
            "\n```\n",
            "# ",
            "- [x] ",
            "1. ",
            "| a | ",
            "[a](b)",
            "![",
            "](",
            "[1]",
            "<b>",
            "</",
            "<!--",
            "&amp;",
            "&#0;",
        ),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=6), max_size=50).map("".join)
WORDS = [
    "the",
    "House",
    "quietly,",
    "über",
    "Straße",
    "naïve",
    "don't",
    "well-known",
    "a",
    "I",
    "Möwe;",
    "été",
    "so",
    "NATO",
]
UNREAD = ("n²", "t²", "```", "](", "][", "[1]", "[4]", "http")
"""Marks of digits that are not read: code, targets of links, citations, addresses."""
LANGUAGES = st.sampled_from(["en", "de", "", *CLDR])


@given(TEXTS, LANGUAGES)
def test_every_text_is_said_in_bounded_length_and_encodable(text: str, language: str) -> None:
    spoken = to_spoken(text, language).text
    assert len(spoken) <= 40 * len(text) + 40
    assert spoken == spoken.strip()
    assert spoken == "" or any(map(str.isalnum, spoken))
    spoken.encode()


@given(TEXTS, LANGUAGES)
def test_spans_tile_the_spoken_text_and_never_go_back(text: str, language: str) -> None:
    spoken = to_spoken(text, language)
    end = shown_start = shown_end = 0
    for span in spoken.spans:
        assert span.start == end < span.end
        assert shown_start <= span.shown_start < span.shown_end <= len(text)
        assert shown_end <= span.shown_end
        end, shown_start, shown_end = span.end, span.shown_start, span.shown_end
    assert end == len(spoken.text)


@given(TEXTS, LANGUAGES, st.data())
def test_a_shown_range_lies_in_the_text_and_grows_with_the_spoken_range(
    text: str, language: str, data: st.DataObject
) -> None:
    spoken = to_spoken(text, language)
    places = st.integers(-2, len(spoken.text) + 2)
    start, middle, end = sorted(data.draw(st.tuples(places, places, places)))
    left, whole, right = (
        spoken.shown_range(*each) for each in ((start, middle), (start, end), (middle, end))
    )
    assert 0 <= whole[0] <= whole[1] <= len(text)
    assert left[0] <= whole[0] <= right[0]
    assert left[1] <= whole[1] == right[1]


@given(st.text(alphabet="abc xyz", max_size=60))
def test_every_character_said_as_shown_points_to_itself(text: str) -> None:
    spoken = to_spoken(text, "fr")
    for start in range(len(spoken.text)):
        shown = spoken.shown_range(start, start + 1)
        assert text[shown[0]] == spoken.text[start]


@pytest.mark.parametrize(("shown", "said"), spoken_cases.ENGLISH.values(), ids=spoken_cases.ENGLISH.keys())
def test_english_is_said_as_people_say_it(shown: str, said: str) -> None:
    assert to_spoken(shown, "en").text == said


@pytest.mark.parametrize(("shown", "said"), spoken_cases.GERMAN.values(), ids=spoken_cases.GERMAN.keys())
def test_german_is_said_as_people_say_it(shown: str, said: str) -> None:
    assert to_spoken(shown, "de").text == said


@pytest.mark.parametrize(
    "text", ["", " ", "😀 🎉", "---", "***", "…", "* * *\n", "|---|---|", "<br>", "[1]", "\n\n", "“”", "🇩🇪"]
)
def test_where_there_is_nothing_to_say_nothing_is_said(text: str) -> None:
    spoken = to_spoken(text)
    assert (spoken.text, spoken.spans) == ("", ())
    assert spoken.shown_range(0, 5) == (0, 0)


def test_each_spoken_word_finds_its_shown_word() -> None:
    shown = "Well, **Dr. Smith** paid $3.50 at 5 p.m. for it"
    spoken = to_spoken(shown)

    def shown_of(word: str) -> str:
        at = spoken.text.index(word)
        start, end = spoken.shown_range(at, at + len(word))
        return shown[start:end]

    assert {word: shown_of(word) for word in ("Doctor", "Smith", "fifty", "PM", "it")} == {
        "Doctor": "Dr.",
        "Smith": "Smith",
        "fifty": "$3.50",
        "PM": "5 p.m.",
        "it": "it",
    }


def test_of_a_code_block_in_pieces_only_the_first_is_mentioned() -> None:
    assert to_spoken("```py\nx = 1\n", code=True).text == "Code example."
    assert to_spoken("y = 2\n", code=True).text == ""


def test_a_number_of_300_digits_is_read_digit_by_digit() -> None:
    assert to_spoken("1" * 300).text == " ".join(["one"] * 300)


@pytest.mark.parametrize(
    ("language", "shown", "said"),
    [
        ("fr", "**Il** y a 3,5 km", "Il y a trois virgule cinq kilomètres"),
        (
            "fr-CA",
            "le 03/10/2024, 1 234 €",
            "le trois octobre deux mille vingt-quatre, mille deux cent trente-quatre euros",
        ),
        ("fr", "Le 1er, 25 % à -5 °C", "Le premier, vingt-cinq pour cent à moins cinq degrés Celsius"),
        ("fr", "1.5 fois depuis 2021-03", "un virgule cinq fois depuis mars deux mille vingt et un"),
        ("es", "1.5 veces, 1.500", "uno coma cinco veces, mil quinientos"),
        ("ru", "1.5 раза", "один запятая пять раза"),
        ("it", "1.5 e 1e-5", "uno virgola cinque e uno per dieci alla meno cinque"),
        ("ja", "2021-03", "二千二十一年三月"),
        ("vi", "-5", "âm năm"),
        ("hu", "2021-03", "kétezer-huszonegy március"),
        ("fr", "555 0172", "cinq cinq cinq, zéro un sept deux"),
        ("es", "555-0172, 100-1000", "cinco cinco cinco, cero uno siete dos, cien a mil"),
        ("eo", "%2024", "du mil dudek kvar procentoj"),
        ("zh", "电话555-1234", "电话五 五 五, 一 二 三 四"),
        (
            "es",
            "12,50 € el 2024-10-03",
            "doce euros con cincuenta el tres de octubre de dos mil veinticuatro",
        ),
        ("it", "3,5 kg", "tre virgola cinque chilogrammi"),
        ("pt-BR", "a 3ª vez", "a terceira vez"),
        ("ru", "5 км, 21 USD, 2 USD", "пять километров, двадцать один доллар США, два доллара США"),
        ("pl", "2 km, 5 km, 22 zł", "dwa kilometry, pięć kilometrów, dwadzieścia dwa złote"),
        ("nb", "12,5 kg", "tolv komma fem kilogram"),
        ("tr", "%5", "yüzde beş"),
        ("nl", "de 3e keer", "de derde keer"),
        ("zh", "版本2.0.1，拨13812345678", "版本二点零点一，拨一 三 八 一 二 三 四 五 六 七 八"),
        ("zh", "第2名有2个人，2月花￥3.50", "第二名有两个人，二月花三点五零人民币"),
        ("ja", "３０％、１０：０５", "三十 パーセント、十時五分"),
        ("ko", "3개월, 20살, 14시, 3시", "삼개월, 스무살, 십사시, 세시"),
        ("th", "มี3คน 14:30", "มีสามคน สิบสี่นาฬิกาสามสิบนาที"),
        ("hi", "₹100 और 9:15", "एक सौ भारतीय रुपए और नौ बजकर पन्द्रह मिनट"),
        ("ar", "٣٫٥ كم، 50%، 3 L", "ثلاثة فاصلة خمسة كيلومتر، خمسون بالمائة، ثلاثة L"),
        ("el", "3,5 km, 50%", "τρία κόμμα πέντε χιλιόμετρα, πενήντα τοις εκατό"),
        ("hr", "2024-10-03", "tri listopada dvije tisuće dvadeset i četiri"),
        ("fr", "+33 6 12 34", "plus trente-trois, six, douze, trente-quatre"),
        ("en", "３０％ of ٣ cats", "thirty percent of three cats"),
        *spoken_cases.OTHERS,
    ],
)
def test_other_languages_are_read_by_cldr_and_num2words(language: str, shown: str, said: str) -> None:
    assert to_spoken(shown, language).text == said


@pytest.mark.parametrize(
    ("language", "shown"),
    [("sv", "version 9.30"), ("it", "Python 3.11"), ("es", "Python 3.11"), ("ru", "в 10.05")],
)
def test_two_digits_after_a_point_are_no_decimals_where_the_language_has_a_comma(
    language: str, shown: str
) -> None:
    assert to_spoken(shown, language).text.endswith(shown[-3:])


@pytest.mark.parametrize("language", sorted(CLDR))
def test_each_unit_and_currency_is_read_in_each_language(language: str) -> None:
    words = CLDR[language]
    for sign in (*words["units"], *words["currencies"]):
        for number in ("1", "2", "3", "5", "11", "100", "1,5", "1.5", "2.50"):
            said = to_spoken(f"{number} {sign}", language).text
            assert not re.search("[0-9%$€£]", said), (number, sign)
            assert not said.endswith(f" {sign}"), (number, sign)


@pytest.mark.parametrize("language", ["bn", "tlh", "x", "und"])
def test_languages_without_number_words_keep_their_numbers(language: str) -> None:
    assert to_spoken("**3,5** km", language).text == "3,5 km"


@given(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=20).map(" ".join),
    st.sampled_from(["en", "de", "fr"]),
)
def test_plain_words_are_said_as_they_are_shown(text: str, language: str) -> None:
    spoken = to_spoken(text, language)
    assert spoken.text == text
    assert to_spoken(spoken.text, language).text == text


@pytest.mark.parametrize(("language", "cases"), [("en", spoken_cases.ENGLISH), ("de", spoken_cases.GERMAN)])
def test_each_spoken_word_points_to_what_it_reads(language: str, cases: dict[str, tuple[str, str]]) -> None:
    """The shown ranges of the words, one after the other, cover every digit that is shown."""
    for shown, said in cases.values():
        spoken = to_spoken(shown, language)
        ranges = [spoken.shown_range(word.start(), word.end()) for word in re.finditer(r"\S+", said)]
        assert all(start < end for start, end in ranges), "no word is lit as an empty place"
        covered = {at for start, end in ranges for at in range(start, end)}
        digits = {at for at, character in enumerate(shown) if character.isdigit()}
        assert digits <= covered or any(mark in shown for mark in UNREAD), shown


@pytest.mark.timeout(20)
def test_digits_that_are_nearly_a_telephone_number_are_read_in_one_way() -> None:
    """There are millions of ways to cut a row of them into six groups, and a gateway reads on its loop."""
    text = f"+{'1' * 64}x " * 100
    assert to_spoken(text).text.startswith("plus")
