"""Latency metrics of one turn, folded from its events. Synchronous code."""

from bisect import bisect_right, insort
from typing import Any, Final

from pipeline.observability import metric_names
from pipeline.observability.tally import Tally
from schemas.events import TERMINAL
from schemas.events.recorded import Recorded

_OUTCOMES: Final = {"turn.completed": "completed", "turn.stopped": "stopped", "turn.failed": "failed"}
_SENTENCE_ENDS: Final = {
    "sentence.completed": "completed",
    "sentence.failed": "failed",
    "sentence.skipped": "skipped",
}
_SPEECH: Final = frozenset({"audio.chunk", "sentence.voiced", *_SENTENCE_ENDS})
_GROUNDS: Final = frozenset(
    {"passages.found", "passages.failed", "tool.called", "tool.completed", "tool.failed"}
)
LATEST_SOUND_MS: Final = 30_000
"""Milliseconds after the first audio: a listener that begins later did not wait for it."""
LATEST_REPORT: Final = 10_000
"""Events after a turn's request: a playback that ends later tells nothing of the first sound. So a report of
an old turn does not have all of a session read."""


def played(data: Any) -> Tally:
    """Metrics that a `playback.ended` has by itself."""
    found = Tally()
    found.count(metric_names.PLAYBACKS)
    found.count(metric_names.UNDERRUNS, by=data["underruns"])
    found.count(metric_names.HEARD, by=data["heard_ms"] / 1_000)
    return found


class TurnMeter:
    """Applied to every event about its turn, in order. Says what it has measured once, at the turn's end."""

    def __init__(self, requested: Recorded, spoken_ms: float | None) -> None:
        """`spoken_ms`: when the question was over, on the wall clock, where it was asked aloud."""
        self._turn = requested.seq
        self._kind = str(requested.data["kind"])
        self._input = "spoken" if requested.data.get("input") else "typed"
        self._requested_ms = requested.ts_ms
        self._spoken_ms = spoken_ms
        self._found = Tally()
        self._started = False
        self._texted = False
        self._delta_ms: int | None = None
        """When the latest piece of text was recorded; None: what follows is not compared with it."""
        self._playout = _Playout()
        self._heard_ms: float | None = None
        """When it was first heard from a loudspeaker."""
        self._reported = False

    def apply(self, recorded: Recorded, held_ms: int | None) -> Tally | None:
        """Metrics at the end of the turn and of a playback. `held_ms`: listeners hold since then."""
        if recorded.type == "playback.ended":
            return self._played(recorded)
        if recorded.type in TERMINAL:
            return self._over(recorded.type, recorded.data)
        if recorded.type in _SPEECH:
            self._speech(recorded, recorded.ts_ms if held_ms is None else held_ms)
        elif recorded.type in _GROUNDS:
            self._ground(recorded.type, recorded.data)
        else:
            self._progress(recorded)
        return None

    def _progress(self, recorded: Recorded) -> None:
        data, now_ms = recorded.data, recorded.ts_ms
        match recorded.type:
            case "turn.started" if not self._started:
                self._started = True
                self._observe(metric_names.QUEUE_WAIT, now_ms - self._requested_ms)
            case "turn.resumed":
                self._delta_ms = None
                self._found.count(metric_names.TAKEOVERS)
            case "text.delta":
                self._text(now_ms, data)
            case "text.completed":
                self._text_over(data)
            case "playback.heard" if self._heard_ms is None:
                self._heard_ms = now_ms - data["heard_ms"]

    def _speech(self, recorded: Recorded, now_ms: int) -> None:
        """`now_ms`: when it happened, or when listeners began to hold."""
        match recorded.type:
            case "audio.chunk":
                self._sound(recorded.ts_ms, now_ms, recorded.data)
            case "sentence.voiced":
                self._voiced(now_ms, recorded.data)
            case _:
                self._sentence_over(recorded.type, recorded.data)

    def _observe(self, metric: metric_names.Metric, ms: float, *labels: str) -> None:
        self._found.observe(metric, ms / 1_000, *labels)

    def _text(self, now_ms: int, data: Any) -> None:
        self._found.count(metric_names.CHARACTERS, by=len(data["text"]))
        if self._kind != "prompt":
            return
        if not self._texted:
            self._texted = True
            self._observe(metric_names.FIRST_TEXT, now_ms - self._requested_ms)
        elif self._delta_ms is not None:
            self._observe(metric_names.DELTA_GAP, now_ms - self._delta_ms)
        self._delta_ms = now_ms

    def _text_over(self, data: Any) -> None:
        provider = data.get("provider") or "local"
        if data.get("ttft_ms") is not None:
            self._observe(metric_names.TTFT, data["ttft_ms"], provider)
        self._found.count(metric_names.TOKENS, "in", provider, by=data.get("tokens_in", 0))
        self._found.count(metric_names.TOKENS, "out", provider, by=data.get("tokens_out", 0))

    def _sound(self, recorded_ms: int, now_ms: int, data: Any) -> None:
        if not self._playout.begun:
            self._observe(metric_names.TTFA, recorded_ms - self._requested_ms, self._kind)
            if self._spoken_ms is not None:
                self._observe(metric_names.VOICE_TO_VOICE, recorded_ms - self._spoken_ms)
        self._found.count(metric_names.SPOKEN, by=data["ms"] / 1_000)
        first, boundary = not self._playout.begun, data["chunk"] == 0
        late_ms = self._playout.arrived(now_ms, data["at_ms"])
        if first:
            return
        if boundary:
            self._observe(metric_names.GAP, late_ms)
        elif late_ms > 0:
            self._found.count(metric_names.LATE_CHUNKS)

    def _voiced(self, now_ms: int, data: Any) -> None:
        if data.get("ttfb_ms") is not None:
            self._observe(metric_names.TTFB, data["ttfb_ms"])
        if self._playout.begun:
            self._found.observe(metric_names.AHEAD, self._playout.ahead(now_ms))
        insort(self._playout.begins, data["at_ms"])

    def _sentence_over(self, kind: str, data: Any) -> None:
        self._found.count(metric_names.SENTENCES, _SENTENCE_ENDS[kind])
        if kind == "sentence.failed":
            self._found.count(metric_names.SENTENCE_ERRORS, data["code"])
        elif data.get("made_ms") is not None and data["ms"] > 0:
            self._found.observe(metric_names.SYNTHESIS_RTF, data["made_ms"] / data["ms"])

    def _ground(self, kind: str, data: Any) -> None:
        self._delta_ms = None  # the model rests meanwhile
        match kind:
            case "passages.found":
                self._observe(metric_names.RETRIEVAL, data["ms"])
            case "passages.failed":
                self._found.count(metric_names.RETRIEVAL_ERRORS, data["code"])
            case "tool.completed" | "tool.failed":
                self._found.count(metric_names.CALLS, kind.removeprefix("tool."))

    def _over(self, kind: str, data: Any) -> Tally:
        found, self._found = self._found, Tally()
        found.count(metric_names.TURNS, self._kind, self._input, _OUTCOMES[kind])
        if kind == "turn.failed":
            found.count(metric_names.TURN_ERRORS, data["stage"], data["code"])
        return found

    def _played(self, recorded: Recorded) -> Tally:
        found = played(recorded.data)
        if recorded.seq - self._turn > LATEST_REPORT:
            return found
        began, heard_ms = self._playout.began_ms, self._heard_ms
        waited = heard_ms is not None and began is not None and heard_ms - began <= LATEST_SOUND_MS
        if waited and heard_ms is not None and not self._reported:
            found.observe(metric_names.FIRST_SOUND, (heard_ms - self._requested_ms) / 1_000)
        self._reported = True
        return found

    def go_on(self, held_ms: int) -> None:
        """Listeners held for so long: nothing was late because of it."""
        self._playout.shift(held_ms)


class _Playout:
    """A listener who plays each piece the moment it can, and buffers nothing."""

    def __init__(self) -> None:
        self.began_ms: int | None = None
        self._zero_ms = 0.0
        """When the turn's audio would have begun, had nothing been late."""
        self.begins: list[int] = []
        """Of sentences, in the turn's audio, sorted: a turn of a bundle may have hundreds of thousands."""

    @property
    def begun(self) -> bool:
        return self.began_ms is not None

    def arrived(self, now_ms: int, at_ms: int) -> float:
        """How long the listener has waited for it."""
        if self.began_ms is None:
            self.began_ms, self._zero_ms = now_ms, now_ms - at_ms
        late_ms = max(0.0, now_ms - self._zero_ms - at_ms)
        self._zero_ms += late_ms
        return late_ms

    def ahead(self, now_ms: int) -> int:
        return len(self.begins) - bisect_right(self.begins, now_ms - self._zero_ms)

    def shift(self, ms: int) -> None:
        self._zero_ms += ms if self.begun else 0
