"""How one sentence is said beside its text: at which speed, and with how much silence after it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schemas.speech_style import Mark, PauseSettings

_SLOWEST, _FASTEST = 0.25, 4.0
"""As `SessionSettings.speech_speed`."""
_JOINED_MS: Final = 60
"""Silence where a sentence is cut because its speed changes, and no mark asks for a pause."""
_TAIL: Final = 16
_BLANKS: Final = re.compile(r"\s*")
_HEADING: Final = re.compile(r"\s*#{1,6}\s")
_SENTENCE: Final = re.compile(r"[.!?…‽⁇⁈⁉。！？｡．؟۔।॥။።។៕։༎\u037e][\"'”’»«)\]}」』】）》*_`]*\Z")
_CLAUSE: Final = re.compile(r"[,;:、，；：،؛—–-]\Z")


@dataclass(frozen=True, slots=True)
class SentenceManner:
    """`rate`: times the session's speed."""

    rate: float = 1.0
    pause_ms: int | None = None
    """Silence after it; None: as the voice makes it."""
    voice: str = ""
    """Voice that speaks it; empty: the session's."""

    def speed(self, usual: float) -> float:
        """Speed for the voice, within what a session may wish for."""
        return min(max(self.rate * usual, _SLOWEST), _FASTEST)


AS_WRITTEN: Final = SentenceManner()


def cuts_of(marks: Sequence[Mark], text: str) -> list[int]:
    """Offsets at which a text is cut for its marks, after blanks: at breaks, where speed or voice change.

    It is looked at once, however many marks there are: a book's chapter may have a thousand.
    """
    places = {mark.end for mark in marks if mark.kind in ("break", "rate", "voice")}
    places |= {mark.start for mark in marks if mark.kind in ("rate", "voice")}
    cuts: list[int] = []
    for place in sorted(min(place, len(text)) for place in places):
        if not cuts or place > cuts[-1]:
            blanks = _BLANKS.match(text, place)
            cuts.append(blanks.end() if blanks else place)
    return cuts


def manner_of(text: str, start: int, pauses: PauseSettings, marks: Sequence[Mark] = ()) -> SentenceManner:
    """Of a piece of shown text that begins at `start`, with the blanks behind it."""
    end, rate, broken, cut, voice = start + len(text), 1.0, None, False, ""
    for mark in marks:
        if mark.kind == "break" and start < mark.start <= end:
            broken = max(broken or 0, int(mark.value))
        elif mark.kind == "rate":
            if mark.start <= start < mark.end:
                rate *= float(mark.value)
            cut = cut or start < mark.start <= end or start < mark.end <= end
        elif mark.kind == "voice" and mark.start <= start < mark.end:
            voice = voice or mark.value
    pause = pause_after(text, pauses) if broken is None else broken
    if pause is None and cut and not _ends(text):
        pause = _JOINED_MS
    return SentenceManner(rate, pause, voice) if marks or pause is not None else AS_WRITTEN


def pause_after(text: str, pauses: PauseSettings) -> int | None:
    """Milliseconds of silence that a piece of text asks for at its end; None: as the voice makes it."""
    if pauses.sentence_ms is None and pauses.paragraph_ms is None:
        return None
    lines = text[len(text.rstrip()) :].count("\n")
    if pauses.paragraph_ms is not None and (lines > 1 or (lines and _HEADING.match(text))):
        return pauses.paragraph_ms
    return pauses.sentence_ms if lines or _SENTENCE.search(text.rstrip()[-_TAIL:]) else None


def _ends(text: str) -> bool:
    tail = text.rstrip()[-_TAIL:]
    return bool(_SENTENCE.search(tail) or _CLAUSE.search(tail))
