"""Spoken form of a piece of shown text."""

import html
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.tts import english, german
from pipeline.tts.boundary_rules import GERMAN
from pipeline.tts.numerals import Rule

Say = Callable[[re.Match[str]], str | None]
"""Gives the replacement of a match; None: the match stays."""


@dataclass(frozen=True, slots=True)
class Span:
    """Characters [start, end) of the spoken text say [shown_start, shown_end) of the shown text."""

    start: int
    end: int
    shown_start: int
    shown_end: int
    verbatim: bool
    """Character by character; otherwise as a whole."""


class Draft:
    """Starts as a copy of `text`. Origins never decrease, whatever is rewritten."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = list(range(len(text)))
        self._ends = list(range(1, len(text) + 1))

    def rewrite(self, pattern: re.Pattern[str], say: Say) -> None:
        """Replace each match by what `say` makes of it, all of which stems from the whole match."""
        self.replace(
            (match.start(), match.end(), new)
            for match in pattern.finditer(self.text)
            if (new := say(match)) is not None
        )

    def unwrap(self, pattern: re.Pattern[str], group: int = 1) -> None:
        """Of each match keep only the group."""
        edits: list[tuple[int, int, str]] = []
        for match in pattern.finditer(self.text):
            edits += [(match.start(), match.start(group), ""), (match.end(group), match.end(), "")]
        self.replace(edits)

    def replace(self, edits: Iterable[tuple[int, int, str]]) -> None:
        """Make edits (start, end, new text), in order and not overlapping; empty ranges are ignored."""
        pieces: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        at = 0
        for start, end, new in edits:
            if start == end:
                continue
            pieces += self.text[at:start], new
            starts += self._starts[at:start]
            starts += [self._starts[start]] * len(new)
            ends += self._ends[at:start]
            ends += [self._ends[end - 1]] * len(new)
            at = end
        if at:
            self.text = "".join(pieces) + self.text[at:]
            self._starts = starts + self._starts[at:]
            self._ends = ends + self._ends[at:]

    def spans(self) -> tuple[Span, ...]:
        """The origins, neighbours that belong together taken as one."""
        spans: list[Span] = []
        for at, (shown_start, shown_end) in enumerate(zip(self._starts, self._ends, strict=True)):
            single = shown_end - shown_start == 1
            if spans:
                last = spans[-1]
                if last.verbatim and single and shown_start == last.shown_end:
                    spans[-1] = Span(last.start, at + 1, last.shown_start, shown_end, True)
                    continue
                if (shown_start, shown_end) == (last.shown_start, last.shown_end):
                    spans[-1] = Span(last.start, at + 1, shown_start, shown_end, False)
                    continue
            spans.append(Span(at, at + 1, shown_start, shown_end, single))
        return tuple(spans)


_LINE: Final = re.compile(r"[^\n]+\n?|\n")
_FENCE: Final = re.compile(r"[ \t]*(`{3,}|~{3,})")
_RULE: Final = re.compile(r"[-*_=|:+ \t\r]*")
_MARKER: Final = re.compile(
    r"[ \t]*(?:>[ \t]*)*"
    r"(?:(?P<block>#{1,6}[ \t]+|[-*+•‣◦·–][ \t]+(?:\[[ xX]\][ \t]+)?)|[0-9]{1,3}(?P<item>[.)])[ \t]+)?"
)
_ENDED: Final = re.compile(r"[.!?:;,…。！？][\"'”’)*_`]*$")
_BAR: Final = re.compile(r"[ \t]*\|[ \t]*")

_IMAGE: Final = re.compile(r"!\[([^\[\]\n]{0,300})\]\([^()\n]{0,500}\)")
_LINK: Final = re.compile(
    r"\[([^\[\]\n]{1,300})\](?:\([^()\s]{0,500}(?:\([^()\s]{0,100}\)[^()\s]{0,100})?(?:\s\"[^\"\n]{0,200}\")?\)|\[[^\[\]\n]{0,60}\])"
)
_AUTOLINK: Final = re.compile(r"<((?:https?://|mailto:|[\w.+-]{1,64}@)[^<>\s]{1,500})>")
_CITATION: Final = re.compile(
    r"\s?【[^】\n]{0,80}】|(?<=\S)\[\^?[0-9][0-9,;\s–-]{0,20}\]|(?:^|\s)\[[0-9]{1,3}\]|\s?\[\^[\w-]{1,20}\]:?"
)
_COMMENT: Final = re.compile(r"<!--.{0,300}?-->", re.DOTALL)
_TAG: Final = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]{0,15})(?:\s[^<>]{0,300})?/?>")
_SPACED_TAGS: Final = frozenset(
    ["br", "p", "div", "li", "ul", "ol", "td", "th", "tr", "hr", "h1", "h2", "h3", "h4", "h5", "h6"]
)
_ENTITY: Final = re.compile(r"&(?:[a-zA-Z]{2,10}|#[0-9]{1,6}|#[xX][0-9a-fA-F]{1,5});")
_ESCAPE: Final = re.compile(r"\\([\\`*_{}\[\]()#+\-.!~|>])")
_TIMES: Final = re.compile(r"(?<=[0-9])\s?\*\s?(?=[0-9])")
_EMPHASIS: Final = re.compile(r"\*+|~~+|`+")
_UNDERSCORES: Final = re.compile(r"_+")


def strip_blocks(draft: Draft, code_phrase: str, months: frozenset[str]) -> None:
    """Headings, lists, quotations and tables become lines of plain text, code becomes the phrase."""
    draft.replace(list(_block_edits(draft.text, code_phrase, months)))


def _block_edits(text: str, code_phrase: str, months: frozenset[str]) -> Iterator[tuple[int, int, str]]:
    fence, fenced_from = "", 0
    for line in _LINE.finditer(text):
        body = line[0].rstrip()
        opened = _FENCE.match(body)
        if fence:
            if opened and opened[1].startswith(fence):
                yield fenced_from, line.end(), f" {code_phrase}\n"
                fence = ""
        elif opened and "`" not in body[opened.end() :]:
            fence, fenced_from = opened[1][:3], line.start()
        elif len(body) > 2 and _RULE.fullmatch(body):
            yield line.start(), line.end(), "\n"
        else:
            yield from _line_edits(line.start(), body, months)
    if fence:
        yield fenced_from, len(text), f" {code_phrase}\n"


def _line_edits(at: int, body: str, months: frozenset[str]) -> Iterator[tuple[int, int, str]]:
    marker = _MARKER.match(body)
    if marker is None or marker.end() == len(body):
        return
    row = body[marker.end()] == "|"
    if marker["item"] and body[marker.end() :].split(maxsplit=1)[0].rstrip(".,") not in months:
        yield at + marker.start("item"), at + marker.end(), ", "
    elif marker["item"]:
        return
    else:
        yield at, at + marker.end(), ""
    start = marker.end()
    if row:
        for bar in _BAR.finditer(body, start):
            if bar.end() < len(body):
                yield at + bar.start(), at + bar.end(), ", " if bar.start() > start else ""
                start = bar.end()
        if body.endswith("|") and start < len(body):
            yield at + len(body) - 1, at + len(body), "."
    elif (marker["block"] or marker["item"]) and not _ENDED.search(body[-8:]):
        yield at + len(body) - 1, at + len(body), body[-1] + "."


def strip_links(draft: Draft) -> None:
    """Links and images are read by their labels; tags, comments and citation marks are not read."""
    draft.unwrap(_IMAGE)
    draft.unwrap(_LINK)
    draft.unwrap(_AUTOLINK)
    draft.rewrite(_CITATION, lambda _: "")
    draft.rewrite(_COMMENT, lambda _: "")
    draft.rewrite(_TAG, lambda tag: " " if tag[1].lower() in _SPACED_TAGS else "")
    draft.rewrite(_ENTITY, lambda entity: html.unescape(entity[0]))


def strip_emphasis(draft: Draft) -> None:
    """Stars, underscores and backticks go, whether or not their partner is in this text."""
    draft.unwrap(_ESCAPE)
    draft.rewrite(_TIMES, lambda _: " × ")
    draft.rewrite(_EMPHASIS, lambda _: "")
    draft.rewrite(_UNDERSCORES, _underscores)


def _underscores(match: re.Match[str]) -> str:
    text, start, end = match.string, match.start(), match.end()
    return " " if text[start - 1 : start].isalnum() and text[end : end + 1].isalnum() else ""


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


@dataclass(frozen=True, slots=True)
class SpokenText:
    """Text for a voice, and which characters of the shown text each part of it speaks."""

    text: str
    spans: tuple[Span, ...]

    def shown_range(self, start: int, end: int) -> tuple[int, int]:
        """The range of the shown text that characters [start, end) of `text` speak.

        Grows with both ends. Positions outside `text` are taken as its ends.
        """
        if not self.spans:
            return 0, 0
        shown_end = self._shown_end(min(max(start, end), len(self.text)))
        return min(self._shown_start(max(start, 0)), shown_end), shown_end

    def _shown_start(self, at: int) -> int:
        at = min(at, len(self.text) - 1)
        span = self._span(at)
        return span.shown_start + (at - span.start if span.verbatim else 0)

    def _shown_end(self, at: int) -> int:
        if at <= 0:
            return self.spans[0].shown_start
        span = self._span(at - 1)
        return span.shown_end - (span.end - at if span.verbatim else 0)

    def _span(self, at: int) -> Span:
        return self.spans[bisect_right(self.spans, at, key=lambda span: span.start) - 1]


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
