"""Spoken form of a piece of shown text."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from pipeline.tts.boundary_rules import GERMAN
from pipeline.tts.normalisation import english, german
from pipeline.tts.normalisation.draft import Draft, Span, SpokenText
from pipeline.tts.normalisation.markup import strip_blocks, strip_emphasis, strip_links
from pipeline.tts.normalisation.numerals import Rule

_RULES: Final[Mapping[str, tuple[Rule, ...]]] = {"en": english.RULES, "de": german.RULES}
_SYMBOLS: Final[Mapping[str, Mapping[str, str]]] = {"en": english.SYMBOLS, "de": german.SYMBOLS}
_CODE: Final[Mapping[str, str]] = {"en": "Code example.", "de": "Codebeispiel."}

_UNUSUAL: Final = re.compile(r"[^\w\s!-~]")
_KEPT_PICTURES: Final = "°№"
_VULGAR: Final = re.compile("([0-9]?)([¼½¾⅐-⅞])")
_DIGIT: Final = re.compile("[0-9]")
"""Rules whose pattern has this in it match no text without digits."""
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


def to_spoken(text: str, language: str = "en", *, code: bool = False) -> SpokenText:
    """Say `text` in words. `text == ""` in the result: there is nothing to say.

    Never raises, and takes time in proportion to the text. `code`: the text is (part of) a fenced
    code block; only the part with the opening fence is mentioned, none is read out. For a language
    other than English and German only the markup is taken out.
    """
    draft = Draft(text)
    known = language[:2].lower()
    phrase = _CODE.get(known, "")
    if code:
        opens = text.lstrip().startswith(("```", "~~~"))
        draft.replace([(0, len(text), phrase if opens else "")])
        return SpokenText(draft.text, draft.spans())
    strip_blocks(draft, phrase, GERMAN.months if known == "de" else frozenset())
    strip_links(draft)
    draft.rewrite(_UNUSUAL, _without_pictures)
    _say_in_words(draft, _RULES.get(known, ()))
    strip_emphasis(draft)
    if known in _SYMBOLS:
        _say_symbols(draft, _SYMBOLS[known])
    _tidy(draft)
    if not any(map(str.isalnum, draft.text)):
        return SpokenText("", ())
    return SpokenText(draft.text, draft.spans())


def _without_pictures(match: re.Match[str]) -> str | None:
    """Emoji, control characters and what has no meaning by itself are not said."""
    character = match[0]
    category = unicodedata.category(character)
    if category in ("Cc", "Cf", "Cs", "Co", "Cn", "Sk", "Me") or "\ufe00" <= character <= "\ufe0f":
        return ""
    return "" if category == "So" and character not in _KEPT_PICTURES else None


def _say_in_words(draft: Draft, rules: tuple[Rule, ...]) -> None:
    if rules:
        draft.rewrite(_VULGAR, _vulgar)
    has_digits = _DIGIT.search(draft.text) is not None
    for pattern, say in rules:
        if has_digits or _DIGIT.pattern not in pattern.pattern:
            draft.rewrite(pattern, say)


def _vulgar(match: re.Match[str]) -> str:
    over_under = unicodedata.normalize("NFKC", match[2]).replace("\u2044", "/")
    return f"{match[1]} {over_under}" if match[1] else over_under


def _say_symbols(draft: Draft, symbols: Mapping[str, str]) -> None:
    def say(match: re.Match[str]) -> str | None:
        symbol = match[0]
        if symbol in symbols:
            return f" {symbols[symbol]} "
        if symbol == "|":
            return ", "
        kept = symbol not in _DROPPED and unicodedata.category(symbol)[0] in "PM"
        return None if kept else " "

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
