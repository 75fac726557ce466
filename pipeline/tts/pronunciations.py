"""Pronunciation dictionaries: which places of a text are said otherwise than they are written.

Expressions are RE2's, which take time in proportion to the text whatever they are ("(a+)+$" backtracks for
ever in Python's own).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple
from unicodedata import normalize

import re2

from schemas.errors import InputError, PatternInvalid
from schemas.languages import speaks
from schemas.speech_style import PronunciationEntry

_PATTERN_BYTES: Final = 128 * 1024
"""Memory of one compiled expression: its program and what it remembers of texts."""
_INSTRUCTIONS: Final = 8_192
"""Of the expressions of one dictionary together: all of them take 4 ms of a sentence of 300 characters."""
_DICTIONARIES: Final = 16
"""Compiled dictionaries that are kept."""
_PLACES: Final = 256
"""Places in one sentence that are said otherwise, at most."""
_SOUND: Final = re.compile("[a-zæðøħŋœǀ-ǃɐ-ʯβεθχⱱᵻᵿ]")
"""Letters of the International Phonetic Alphabet (its chart of 2020, and espeak's ε, ᵻ, ᵿ), decomposed."""
_SIGN: Final = re.compile(r"[\u02b0-\u02ff\u0300-\u036f\u1d2c-\u1dbfⁿ.|‖‿↑↓↗↘ꜛꜜ'’:,() -]")
"""Its diacritics, stress, length, tones and boundaries, and what is typed for them."""


class PronouncedPlace(NamedTuple):
    """Characters [start, end), which are said as `entry` says."""

    start: int
    end: int
    entry: PronunciationEntry


def _options(*, case_sensitive: bool) -> Any:
    options = re2.Options()
    options.max_mem = _PATTERN_BYTES
    options.log_errors = False
    options.case_sensitive = case_sensitive
    return options


def _compiled(entry: PronunciationEntry) -> Any:
    """Raises re2.error."""
    if entry.pattern is not None:
        return re2.compile(entry.pattern, _options(case_sensitive=entry.case_sensitive))
    flags = re.NOFLAG if entry.case_sensitive else re.IGNORECASE
    word = r"\s+".join(map(re.escape, (entry.word or "").split()))
    return re.compile(rf"(?<![\w@/])(?<!\w\.){word}(?![\w@/])(?!\.\w)", flags)


def check_ipa(ipa: str) -> None:
    """Raises ValueError, which names the first character that is not of the alphabet."""
    letters = normalize("NFD", ipa)
    for letter in letters:
        if not _SOUND.match(letter) and not _SIGN.match(letter):
            raise ValueError(f"is no IPA: {letter!r} is none of its letters and marks")
    if not _SOUND.search(letters):
        raise ValueError("is no IPA: it has no letter of a sound")


def check_entries(
    entries: Sequence[PronunciationEntry], *, field: str, known: Sequence[PronunciationEntry] = ()
) -> None:
    """Raises PatternInvalid or InputError, which name the entry's place below `field`.

    The `known` ones were taken before; older releases took any text as IPA.
    """
    size = 0
    for number, entry in enumerate(entries):
        if entry.ipa is not None and entry not in known:
            try:
                check_ipa(entry.ipa)
            except ValueError as error:
                raise InputError(str(error), field=f"{field}.{number}.ipa") from None
        if entry.pattern is not None:
            try:
                size += _compiled(entry).programsize
                if size > _INSTRUCTIONS:
                    raise PatternInvalid(
                        "makes the dictionary's expressions too large together: write it, or others, shorter",
                        field=f"{field}.{number}.pattern",
                    )
            except re2.error as error:
                reason = error.args[0].decode(errors="replace") if error.args else "it is too large"
                raise PatternInvalid(
                    f"is no regular expression of RE2: {reason}"[:200], field=f"{field}.{number}.pattern"
                ) from None


@dataclass(frozen=True, slots=True)
class PronunciationDictionary:
    """Compiled entries, the first that fits counts."""

    entries: tuple[tuple[PronunciationEntry, Any], ...] = ()

    def places(self, text: str, language: str) -> list[PronouncedPlace]:
        """Places of the text that are said otherwise, in order and without overlaps. Linear in the text."""
        found = sorted(self._matches(text, language), key=lambda each: (each[0].start, each[1]))
        places: list[PronouncedPlace] = []
        for place, _ in found:
            if not places or place.start >= places[-1].end:
                places.append(place)
        return places[:_PLACES]

    def _matches(self, text: str, language: str) -> Iterator[tuple[PronouncedPlace, int]]:
        text = text.encode("utf-8", "replace").decode()  # half a surrogate pair becomes one question mark
        for number, (entry, expression) in enumerate(self.entries):
            if entry.language is not None and not speaks((entry.language,), language):
                continue
            for match in expression.finditer(text):
                start, end = match.span()
                if start < end:
                    yield PronouncedPlace(start, end, entry), number


NO_ENTRIES: Final = PronunciationDictionary()


@lru_cache(maxsize=_DICTIONARIES)
def dictionary_of(entries: tuple[PronunciationEntry, ...]) -> PronunciationDictionary:
    """Expressions that are wrong or too large together, as an imported session may have, are left out."""
    compiled, size = [], dict.fromkeys(("session", "user", "server"), 0)
    for entry in entries:
        try:
            expression = _compiled(entry)
        except re2.error:
            continue
        instructions = 0 if entry.pattern is None else expression.programsize
        if size[entry.origin] + instructions <= _INSTRUCTIONS:
            size[entry.origin] += instructions
            compiled.append((entry, expression))
    return PronunciationDictionary(tuple(compiled))
