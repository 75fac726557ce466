"""Events that one listener received, kept small enough for thousands of them. Pure: no I/O, no clock."""

import zlib
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from loadtests.client import marks
from loadtests.client.answer_playback import AnswerPlayback, ReceivedAnswer
from schemas.events import TERMINAL

_GIVEN_UP: Final = frozenset({"turn.failed", "sentence.failed", "transcript.failed"})
PACKET_MS: Final = 20
"""Every Opus packet holds exactly so much."""


@dataclass(slots=True)
class ReceivedSentence:
    """A sentence's sound: what came, counted by its packets, against what its events say."""

    heard_ms: int = 0
    told_ms: int | None = None


@dataclass(slots=True)
class ReceivedTurn:
    """One answer as it came in."""

    playback: AnswerPlayback
    asked_s: float
    """When it was asked, or was due to be asked."""
    read_out: bool = False
    """It is a text that was given, so that its first words are no answer's."""
    sentences: dict[int, ReceivedSentence] = field(default_factory=dict)
    told_ms: int | None = None
    """All of its sound, as the turn's own end says."""
    disturbed: bool = False
    """Its sound was held or flushed, or a connection was cut: silence in it is nobody's fault."""
    tail: str = ""
    why: str = ""
    """Reason of a failure."""

    @property
    def answer(self) -> ReceivedAnswer:
        return self.playback.answer

    @property
    def answered(self) -> bool:
        """Something of it came, or it is complete."""
        text = self.answer.ttft_ms is not None and not self.read_out
        return text or self.answer.ttfa_ms is not None or self.answer.ended == "turn.completed"


class ReceivedEvents:
    """Takes one listener's events as they come, over however many connections.

    `hears`: with sound, not only with events about it.
    """

    def __init__(self, mark: str, *, hears: bool = True) -> None:
        self.mark = mark
        self.hears = hears
        self.punctual = True
        """Frames are read at once. Else silence is of the listener's own making."""
        self.spoken_to = False
        """The questions are speech, so that the time to first audio is from voice to voice."""
        self.seqs = array("Q")
        self.prints = array("L")
        """A checksum of each event, by which it is compared with the log."""
        self.turns: dict[int, ReceivedTurn] = {}
        self.given_up: Counter[str] = Counter()
        """Failures that the system reported: by event and code."""
        self.foreign: set[str] = set()
        """Marks of others that were seen here."""
        self.due_s: float | None = None
        """When the next turn was due to be asked; None: when its request is seen."""

    @property
    def last(self) -> int:
        return self.seqs[-1] if self.seqs else 0

    @property
    def latest(self) -> ReceivedTurn | None:
        return next(reversed(self.turns.values()), None)

    def take(self, event: Mapping[str, Any], now_s: float, sound: bytes = b"") -> None:
        """An event, as it was on the wire."""
        seq, kind, data = event["seq"], event["type"], event["data"]
        self.seqs.append(seq)
        self.prints.append(fingerprint(event))
        if kind == "turn.requested":
            asked_s = now_s if self.due_s is None else self.due_s
            self.turns[seq] = ReceivedTurn(AnswerPlayback(asked_s), asked_s, read_out=data["kind"] == "text")
        turn = self.turns.get(event["turn"] or seq)
        if turn is not None:
            self._turn(turn, kind, data, now_s, sound)
        elif kind in ("playback.paused", "playback.resumed") and (latest := self.latest) is not None:
            latest.disturbed = True
        if kind in _GIVEN_UP:
            self.given_up[f"{kind} {data['code']}"] += 1
        if isinstance(text := data.get("text"), str):
            self._read(turn, kind, text)

    def disturb(self) -> None:
        """A connection was cut: what is being heard has a hole of the listener's own making."""
        if (latest := self.latest) is not None:
            latest.disturbed = True

    def _turn(
        self, turn: ReceivedTurn, kind: str, data: Mapping[str, Any], now_s: float, sound: bytes
    ) -> None:
        turn.playback.take(kind, data, now_s, sound_bytes=len(sound))
        if kind == "audio.chunk":
            sentence = turn.sentences.setdefault(data["sentence"], ReceivedSentence())
            sentence.heard_ms += PACKET_MS * packets(sound) if self.hears else data["ms"]
        elif kind == "sentence.completed":
            turn.sentences.setdefault(data["sentence"], ReceivedSentence()).told_ms = data["ms"]
        elif kind == "turn.completed":
            turn.told_ms = data["audio_ms"]
        elif kind == "turn.failed":
            turn.why = f"{data['stage']}, {data['code']}: {data['message']}"
        elif kind in ("playback.paused", "playback.resumed", "playback.flushed", "turn.resumed"):
            turn.disturbed = True

    def _read(self, turn: ReceivedTurn | None, kind: str, text: str) -> None:
        if turn is not None and kind == "text.delta":
            text = turn.tail + text
            turn.tail = text[-marks.LENGTH + 1 :]
        self.foreign |= marks.marks_in(text) - {self.mark}

    def over(self, turn: int) -> bool:
        return turn in self.turns and self.turns[turn].answer.ended in TERMINAL


def fingerprint(event: Mapping[str, Any]) -> int:
    """The same for the same event, whatever carried it: sound and the order of keys do not count."""
    if "audio" in event:
        event = {key: value for key, value in event.items() if key != "audio"}
    return zlib.crc32(orjson.dumps(event, option=orjson.OPT_SORT_KEYS))


def packets(sound: bytes) -> int:
    """How many whole Opus packets there are, each with two bytes of length before it."""
    count, at, size = 0, 0, len(sound)
    while at + 2 <= size:
        at += 2 + (sound[at] << 8 | sound[at + 1])
        count += at <= size
    return count
