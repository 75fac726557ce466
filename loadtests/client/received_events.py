"""Events that one listener received, kept small enough for thousands of them. Pure: no I/O, no clock."""

import zlib
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from loadtests.client import marks
from schemas.events import TERMINAL

STALL_MS: Final = 20.0
"""A shorter wait for the next chunk is not heard: a page holds a little more than that back."""


@dataclass(slots=True)
class ReceivedAnswer:
    """One answer as its listener had it. Milliseconds from the question on."""

    ttft_ms: float | None = None
    ttfa_ms: float | None = None
    whole_ms: float = 0.0
    sound_ms: float = 0.0
    waits_ms: list[float] = field(default_factory=list)
    """For how long the player had nothing to play, each time."""
    events: Counter[str] = field(default_factory=Counter)
    sound_bytes: int = 0
    characters: int = 0
    tokens: int = 0
    ended: str = ""

    @property
    def stalled(self) -> bool:
        return any(wait > STALL_MS for wait in self.waits_ms)


class AnswerPlayback:
    """Takes an answer's frames as they come, and plays its chunks. Pure: every call says what time it is."""

    def __init__(self, asked_s: float) -> None:
        self.answer = ReceivedAnswer()
        self._asked_s = asked_s
        self._plays_until_s: float | None = None

    def take(self, kind: str, data: Mapping[str, Any], now_s: float, *, sound_bytes: int = 0) -> None:
        answer, since_ms = self.answer, (now_s - self._asked_s) * 1_000
        answer.events[kind] += 1
        match kind:
            case "text.delta":
                answer.characters += len(data["text"])
                answer.ttft_ms = since_ms if answer.ttft_ms is None else answer.ttft_ms
            case "text.completed":
                answer.tokens += data["tokens_out"]
            case "audio.chunk":
                answer.ttfa_ms = since_ms if answer.ttfa_ms is None else answer.ttfa_ms
                answer.sound_bytes += sound_bytes
                self._play(data["ms"], now_s)
            case kind if kind in TERMINAL:
                answer.ended, answer.whole_ms = kind, since_ms

    def _play(self, ms: float, now_s: float) -> None:
        due = self._plays_until_s
        if due is not None and now_s > due:
            self.answer.waits_ms.append((now_s - due) * 1_000)
        self._plays_until_s = (now_s if due is None else max(due, now_s)) + ms / 1_000
        self.answer.sound_ms += ms

    def remaining_s(self, now_s: float) -> float:
        """Of what came, so much has not been heard yet."""
        return max(0.0, (self._plays_until_s or now_s) - now_s)


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
