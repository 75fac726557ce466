"""When does an utterance begin and end? Decided in audio time, frame by frame."""

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

from pipeline.stt.turn_hints import Wait
from pipeline.stt.vad import FRAME_MS
from schemas.settings.listening_settings import EndpointingSettings

Reason = Literal["silence", "commit", "max_length", "closed"]

_HYSTERESIS: Final = 0.15
"""A voiced frame stays voiced down to this much below the threshold, as Silero's authors recommend."""
_LOWEST: Final = 0.01
_SLACK_MS: Final = 192
"""Unvoiced sound that may lie between the first voiced frames of an utterance, as in "p-please"."""
_LOOK_BACK_MS: Final = 5_000
"""An utterance that is too long is cut within this much before its end."""


@dataclass(frozen=True, slots=True)
class Began:
    """Speech began at `at_ms`; where an utterance was cut, the next one begins where it ended."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Paused:
    """Nothing was voiced since `end_ms`: what was said until then can be written down now."""

    end_ms: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """The pause was none: the utterance goes on at `at_ms`."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The utterance was spoken from start_ms to end_ms; that was clear at `at_ms`."""

    start_ms: int
    end_ms: int
    at_ms: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Dropped:
    """The voiced frames since `at_ms` were too few to be speech."""

    at_ms: int


Event = Began | Paused | Resumed | Ended | Dropped


@dataclass(slots=True)
class _Utterance:
    start_ms: int
    end_ms: int
    """Where its last voiced frame ends."""
    voiced_ms: int
    paused: bool = False


@dataclass(frozen=True, slots=True)
class _Frame:
    at_ms: int
    probability: float
    voiced_until_ms: int
    """Where the last voiced frame ended, this one included."""

    @property
    def voiced(self) -> bool:
        return self.voiced_until_ms > self.at_ms


class Endpointer:
    """Turns probabilities of speech, one for each frame, into utterances. Pure: no I/O, no clock.

    Between Began and Ended there may be any number of Paused, each followed by Resumed or by the end.
    Every voiced frame between belongs to exactly one utterance. `manual`: silence ends nothing.
    """

    def __init__(self, settings: EndpointingSettings, *, manual: bool = False, at_ms: int = 0) -> None:
        self._settings = settings
        self._manual = manual
        self._at_ms = at_ms
        self._quiet_since = at_ms
        self._voiced = False
        self._hint: Wait | None = None
        self._running: _Utterance | None = None
        self._onset: deque[int] = deque()
        """Where the voiced frames begin that are not speech yet."""
        self._max_ms = round(1_000 * settings.max_utterance_s)
        look_back = min(_LOOK_BACK_MS, self._max_ms // 2) // FRAME_MS
        self._recent: deque[_Frame] = deque(maxlen=look_back)

    @property
    def at_ms(self) -> int:
        """How far was listened."""
        return self._at_ms

    @property
    def speaking(self) -> bool:
        """Is an utterance running?"""
        return self._running is not None

    @property
    def silent(self) -> bool:
        """No utterance is running, and no voiced frame may become one."""
        return self._running is None and not self._onset

    @property
    def speech_ms(self) -> int:
        """Voiced sound in the running utterance; 0: none is running."""
        return self._running.voiced_ms if self._running else 0

    @property
    def silence_ms(self) -> int:
        """Since the last voiced frame, in an utterance or not."""
        return self._at_ms - self._quiet_since

    @property
    def frames_together(self) -> int:
        """So many frames may be collected before they are pushed: none but the last completes a decision."""
        if self._running is not None:
            undecided_ms = self._undecided_ms(self._running)
        else:
            blip_ms = FRAME_MS + _SLACK_MS  # one voiced frame, until it is forgotten
            undecided_ms = 0 if self._onset else min(self._settings.min_speech_ms, blip_ms)
        return max(1, -(-undecided_ms // FRAME_MS))

    def _undecided_ms(self, running: _Utterance) -> int:
        """Sound that may follow before it is a pause, an end or too long; after a pause each frame counts."""
        if running.paused:
            return 0
        undecided = [self._max_ms - (self._at_ms - running.start_ms)]
        if not self._manual:
            undecided.append(self._patience() - self.silence_ms)
        if self._settings.speculate_ms is not None:
            undecided.append(self._settings.speculate_ms - self.silence_ms)
        return min(undecided)

    def push(self, probability: float) -> list[Event]:
        """One frame more."""
        began_at, self._at_ms = self._at_ms, self._at_ms + FRAME_MS
        self._voiced = self.is_voiced(probability)
        if self._voiced:
            self._quiet_since, self._hint = self._at_ms, None
        self._recent.append(_Frame(began_at, probability, self._quiet_since))
        if self._voiced:
            return self._go_on(began_at) if self._running else self._maybe_begin(began_at)
        return self._wait(self._running) if self._running else self._forget_blips()

    def expect(self, wait: Wait | None) -> None:
        """Shortens or lengthens this silence's limit, as what was said before it seems complete or not.

        The hint holds until the next voiced frame; during voiced frames it is ignored.
        """
        if self._settings.hint and self._running and not self._voiced:
            self._hint = wait

    def commit(self) -> list[Event]:
        """The utterance ends here, if one is running."""
        return self._stop("commit")

    def close(self) -> list[Event]:
        """Nothing more comes."""
        return self._stop("closed")

    def clear(self) -> None:
        """Discards the speech since the last utterance."""
        self._reset()

    def is_voiced(self, probability: float) -> bool:
        """Whether the next frame counts as speech with this probability."""
        threshold = self._settings.threshold
        return probability >= (max(threshold - _HYSTERESIS, _LOWEST) if self._voiced else threshold)

    def _maybe_begin(self, began_at: int) -> list[Event]:
        span = self._settings.min_speech_ms + _SLACK_MS
        while self._onset and self._onset[0] + span < self._at_ms:
            self._onset.popleft()
        self._onset.append(began_at)
        voiced_ms = FRAME_MS * len(self._onset)
        if voiced_ms < self._settings.min_speech_ms:
            return []
        self._running = _Utterance(self._onset[0], self._at_ms, voiced_ms)
        self._onset.clear()
        return [Began(self._running.start_ms)]

    def _forget_blips(self) -> list[Event]:
        """No speech has come of them after so much silence."""
        if not self._onset or self.silence_ms < _SLACK_MS:
            return []
        at_ms = self._onset[0]
        self._onset.clear()
        return [Dropped(at_ms)]

    def _go_on(self, began_at: int) -> list[Event]:
        running = self._running
        assert running is not None
        events: list[Event] = [Resumed(began_at)] if running.paused else []
        running.paused = False
        running.end_ms = self._at_ms
        running.voiced_ms += FRAME_MS
        return events + (self._cut(running) if self._too_long(running) else [])

    def _wait(self, running: _Utterance) -> list[Event]:
        if self._manual:
            # Else a silence without end would be an utterance without end.
            if self._too_long(running):
                return self._stop("max_length")
        elif self.silence_ms >= self._patience():
            return self._stop("silence")
        speculate_ms = self._settings.speculate_ms
        if running.paused or speculate_ms is None or self.silence_ms < speculate_ms:
            return []
        running.paused = True
        return [Paused(running.end_ms)]

    def _patience(self) -> int:
        settings = self._settings
        match self._hint:
            case "complete":
                return min(settings.silence_ms, settings.complete_ms)
            case "incomplete":
                return max(settings.silence_ms, settings.incomplete_ms)
            case "doubtful":
                return max(settings.silence_ms, settings.doubtful_ms)
            case None:
                return settings.silence_ms

    def _too_long(self, running: _Utterance) -> bool:
        return self._at_ms - running.start_ms >= self._max_ms

    def _cut(self, running: _Utterance) -> list[Event]:
        """End it at the quietest place of its last seconds; what was voiced after that is the next one."""
        frames = list(self._recent)
        place = _quietest(frames)
        end_ms = frames[place - 1].voiced_until_ms
        voiced = [frame.at_ms for frame in frames[place:] if frame.voiced]
        self._running = _Utterance(voiced[0], self._at_ms, FRAME_MS * len(voiced))
        return [Ended(running.start_ms, end_ms, self._at_ms, "max_length"), Began(voiced[0])]

    def _stop(self, reason: Reason) -> list[Event]:
        events: list[Event] = []
        if self._running:
            events = [Ended(self._running.start_ms, self._running.end_ms, self._at_ms, reason)]
        elif self._onset:
            events = [Dropped(self._onset[0])]
        self._reset()
        return events

    def _reset(self) -> None:
        self._running = None
        self._hint = None
        self._onset.clear()


def _quietest(frames: list[_Frame]) -> int:
    """Which frame, with its neighbours, is least like speech; the latest one of several. Never the first."""

    def around(place: int) -> tuple[float, int]:
        before, here, after = frames[place - 1], frames[place], frames[min(place + 1, len(frames) - 1)]
        return before.probability + 2 * here.probability + after.probability, -place

    return min(range(1, len(frames)), key=around)
