"""Spoken form of a piece of shown text."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pipeline.tts.boundary_rules import GERMAN
from pipeline.tts.normalisation import english, english_words, german, german_words
from pipeline.tts.normalisation.cldr import grammar_of
from pipeline.tts.normalisation.draft import Draft, Span, SpokenText
from pipeline.tts.normalisation.formulas import GREEK, GREEK_NAMES, SUPERSCRIPT, power
from pipeline.tts.normalisation.markup import strip_blocks, strip_emphasis, strip_links
from pipeline.tts.normalisation.numerals import Numerals
from pipeline.tts.normalisation.recognisers import Grammar
from pipeline.tts.pronunciations import NO_ENTRIES, PronunciationDictionary
from pipeline.tts.said_as import emoji_names, said_as
from schemas.speech_style import Mark

_GRAMMARS: Final[Mapping[str, Grammar]] = {"en": english.GRAMMAR, "de": german.GRAMMAR}
_WORDS: Final = {"en": english_words, "de": german_words}
_NUMERALS: Final = {"en": Numerals("en"), "de": Numerals("de")}
_CODE: Final[Mapping[str, str]] = {"en": "Code example.", "de": "Codebeispiel."}

_OTHER_DIGIT: Final = re.compile(r"(?![0-9])\d|[٪％￥]|(?<=\d)[٫٬：](?=\d)")
"""Digits of other scripts, as of Arabic and Hindi, wide ones, and the marks between them."""
_PLAIN: Final = {"٪": "%", "％": "%", "٫": ".", "٬": ",", "：": ":", "￥": "¥"}
_UNUSUAL: Final = re.compile(r"[^\w\s!-~]")
_KEPT_PICTURES: Final = "°№"
_SIGN_OF_UNIT: Final = re.compile("[℃℉\u3380-\u33df]")
"""One character that stands for several: "㎏"."""
_RAISED: Final = str.maketrans("23", "²³")
_VULGAR: Final = re.compile("([0-9]?)([¼½¾⅐-⅞])")
_DASH: Final = re.compile(r"\s?[—―]\s?|\s[–-]{1,3}\s")
_ORNAMENT: Final = re.compile(r"([=<>&~])\1+|([+%@$€£§°#])\2{2,}|[=-]{1,9}>|<[=-]{1,9}")
_SYMBOL: Final = re.compile(r"[&+=<>@%$#/|\\^{}~]|[^\w\s!-~]")
_DROPPED: Final = frozenset("/\\{}#•·")
_BLANKS: Final = re.compile(r"\s+")
_LOOSE_BLANK: Final = re.compile(r" (?=[,.;:!?…])")
_TIGHT_COMMA: Final = re.compile(r"(?<=[^\W\d]),(?=[^\W\d])")
_DOUBLE_MARK: Final = re.compile(r"(?:, ?)+(?=[,.;:!?])|(?<=[.;:!?]),")


def plainly(text: str, shown: int) -> SpokenText:
    """Words already found for `shown` characters, of which nobody knows any more which says what."""
    return SpokenText(text, (Span(0, len(text), 0, shown, verbatim=False),) if text else ())


@dataclass(frozen=True, slots=True)
class Reading:
    """Wishes of a session for how its texts are read."""

    dictionary: PronunciationDictionary = NO_ENTRIES
    names_emoji: bool = False
    marks: tuple[Mark, ...] = ()
    """Of SSML and of voices; places are of the piece of text that is read."""

    def within(self, start: int, end: int) -> "Reading":
        """For a piece of the text. Words marked by `say-as` are said so in all pieces, IPA in the first one.

        Marks come in order and do not overlap, also those of an imported session.
        """
        if not self.marks:
            return self
        marks: list[Mark] = []
        for mark in sorted(self.marks, key=lambda each: each.start):
            first, last = max(mark.start, start) - start, min(mark.end, end) - start
            cut_ipa = mark.kind == "phoneme" and mark.start < start
            after = not marks or first >= marks[-1].end
            if mark.kind in ("say-as", "phoneme") and first < last and after and not cut_ipa:
                marks.append(mark.model_copy(update={"start": first, "end": last}))
        return replace(self, marks=tuple(marks))


PLAIN: Final = Reading()


def to_spoken(text: str, language: str = "en", *, code: bool = False, reading: Reading = PLAIN) -> SpokenText:
    """Say `text` in words. `text == ""` in the result: there is nothing to say.

    Never raises, and takes time in proportion to the text. `code`: the text is (part of) a fenced
    code block; only the part with the opening fence is mentioned, none is read out. English and German are
    read whole; of languages that CLDR and num2words know, numbers, money, measures and dates; of others only
    the markup is taken out.
    """
    draft = Draft(text)
    known = language[:2].lower()
    phrase = _CODE.get(known, "")
    if code:
        opens = text.lstrip().startswith(("```", "~~~"))
        draft.replace([(0, len(text), phrase if opens else "")])
        return SpokenText(draft.text, draft.spans())
    pronounced = [(mark.start, mark.end, mark.value) for mark in reading.marks if mark.kind == "phoneme"]
    required = bool(pronounced)
    draft.replace(
        (mark.start, mark.end, said_as(mark.value, text[mark.start : mark.end], known))
        for mark in reading.marks
        if mark.kind == "say-as"
    )
    strip_blocks(draft, phrase, GERMAN.months if known == "de" else frozenset())
    strip_links(draft)
    if reading.dictionary.entries:
        pronounced = sorted([*pronounced, *_say_by(reading.dictionary, draft, language)])
    if reading.names_emoji:
        draft.replace(emoji_names(draft.text, known))
    draft.rewrite(_UNUSUAL, _without_pictures)
    if not draft.text.isascii():
        draft.rewrite(_OTHER_DIGIT, lambda found: _PLAIN.get(found[0]) or str(unicodedata.digit(found[0])))
    if (grammar := _GRAMMARS.get(known) or grammar_of(known)) is not None:
        draft.rewrite(_VULGAR, _vulgar)
        draft.replace(grammar.edits(draft.text))
    strip_emphasis(draft)
    if known in _GRAMMARS:
        _say_symbols(draft, known)
    _tidy(draft)
    if not any(map(str.isalnum, draft.text)):
        return SpokenText("", ())
    return SpokenText(draft.text, draft.spans(), _placed(pronounced, draft), required)


def _say_by(
    dictionary: PronunciationDictionary, draft: Draft, language: str
) -> Iterator[tuple[int, int, str]]:
    """Respells what the dictionary has respellings of; gives the shown places of other pronunciations."""
    places = dictionary.places(draft.text, language)
    for place in places:
        if place.entry.ipa is not None:
            yield *draft.origin(place.start, place.end), place.entry.ipa
    draft.replace(
        (place.start, place.end, place.entry.respelling)
        for place in places
        if place.entry.respelling is not None
    )


def _placed(pronounced: list[tuple[int, int, str]], draft: Draft) -> tuple[tuple[int, int, str], ...]:
    """Shown places as places of the spoken text; of two that overlap the first counts."""
    placed: list[tuple[int, int, str]] = []
    for start, end, ipa in pronounced:
        place = draft.place(start, end)
        if place is not None and (not placed or place[0] >= placed[-1][1]):
            placed.append((*place, ipa))
    return tuple(placed)


def _without_pictures(match: re.Match[str]) -> str | None:
    """Emoji, control characters and what has no meaning by itself are not said."""
    character = match[0]
    if (unit := _SIGN_OF_UNIT.fullmatch(character)) is not None:
        plain = unicodedata.normalize("NFKC", unit[0])
        return plain.translate(_RAISED) if plain[-1] in "23" else plain
    category = unicodedata.category(character)
    if category in ("Cc", "Cf", "Cs", "Co", "Cn", "Sk", "Me") or "\ufe00" <= character <= "\ufe0f":
        return ""
    return "" if category == "So" and character not in _KEPT_PICTURES else None


def _vulgar(match: re.Match[str]) -> str:
    over_under = unicodedata.normalize("NFKC", match[2]).replace("\u2044", "/")
    return f"{match[1]} {over_under}" if match[1] else over_under


def _say_symbols(draft: Draft, language: str) -> None:
    words = _WORDS[language]
    symbols = words.SYMBOLS

    def say(match: re.Match[str]) -> str | None:
        symbol = match[0]
        if symbol in symbols:
            return f" {symbols[symbol]} "
        if symbol == "|":
            return ", "
        kept = symbol not in _DROPPED and unicodedata.category(symbol)[0] in "PM"
        return None if kept else " "

    if not draft.text.isascii():
        draft.rewrite(GREEK, lambda letter: f" {GREEK_NAMES.get(letter[0], '')} ")
    draft.rewrite(SUPERSCRIPT, lambda found: power(found[0], _NUMERALS[language], words.POWERS))
    draft.rewrite(_DASH, lambda _: ", ")
    draft.rewrite(_ORNAMENT, lambda _: " ")
    draft.rewrite(_SYMBOL, say)


def _tidy(draft: Draft) -> None:
    """One blank between words, none at the ends, no mark twice."""
    draft.rewrite(_BLANKS, lambda run: None if run[0] == " " else ". " if _paragraph(run) else " ")
    draft.rewrite(_LOOSE_BLANK, lambda _: "")
    draft.rewrite(_TIGHT_COMMA, lambda _: ", ")
    draft.rewrite(_DOUBLE_MARK, lambda _: "")
    kept = draft.text.lstrip(" ,;:")
    start = len(draft.text) - len(kept)
    end = start + len(kept.rstrip())
    draft.replace([(0, start, ""), (end, len(draft.text), "")])


def _paragraph(run: re.Match[str]) -> bool:
    return (
        run[0].count("\n") > 1
        and run.string[run.start() - 1 : run.start()].isalnum()
        and run.end() < len(run.string)
    )
