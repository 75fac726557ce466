"""Recognisers of what is not written as it is spoken, tried in one pass over a text."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

Read = Callable[[re.Match[str]], str | None]
"""Words for what a recogniser matched; None: it is something else."""

_BEGINNING: Final = re.compile(
    r"(?:(?<![^\W_])|(?<=[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])|(?<=[\u0600-\u06ff])(?=[0-9]))(?<!\^)"
    r"(?:(?P<digit>[0-9])|(?P<upper>[^\W\d_a-zß-öø-ÿ])"
    r"|(?P<lower>[a-zß-öø-ÿ](?=[\w+-]{0,64}[.@/:\\'’]|[a-zäöüß]{0,9}[º°]?\s?[0-9]|[a-zß-öø-ÿ]{0,3}[–-])))"
    r"|(?P<sign>[$€£¥₹₩₽₺₪฿₫₴₱₦¢#@~≈+±−–.'’(/№§√%-])(?=[\w\s(+./$€£¥§-])"
)
"""Places where a recogniser may match; the words of plain prose have none, but for capitals. Thai,
Japanese, Chinese and Korean letters may stand right before one, Arabic ones before a digit."""


@dataclass(frozen=True, slots=True)
class Recogniser:
    """One kind of text: its beginnings ("digit", "upper", "lower", "sign"), its form, and how it is read."""

    begins: str
    pattern: re.Pattern[str]
    read: Read


class Grammar:
    """Recognisers of one language. At each place the first one that matches and reads wins."""

    def __init__(self, recognisers: Iterable[Recogniser]) -> None:
        every = tuple(recognisers)
        self._by_beginning = {
            kind: tuple((each.pattern.match, each.read) for each in every if kind in each.begins)
            for kind in ("digit", "upper", "lower", "sign")
        }

    def edits(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Edits (start, end, words) of the text, from left to right."""
        at = 0
        while (token := _BEGINNING.search(text, at)) is not None:
            start, at = token.span()
            for match_at, read in self._by_beginning[token.lastgroup or "sign"]:
                match = match_at(text, start)
                if match is not None and (spoken := read(match)) is not None:
                    yield start, match.end(), spoken
                    at = match.end()
                    break


def before(match: re.Match[str], characters: int = 24) -> str:
    """The text in front of a match, on the same line."""
    start = match.start()
    return match.string[max(0, start - characters) : start].rpartition("\n")[2]


def either(words: Iterable[str]) -> str:
    """A pattern for one of the words, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
