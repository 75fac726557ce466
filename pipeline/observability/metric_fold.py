"""From a session's events to numbers: live, one by one, or all of a log again, with the same result."""

from typing import Final

from pipeline.eventlog.event_log import EventLog
from pipeline.observability import metric_names
from pipeline.observability.tally import Series, Tally
from pipeline.observability.turn_metrics import LATEST_REPORT, TurnMeter, played
from schemas.events import TERMINAL
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, TurnId, created_ms
from schemas.native.native_messages import Measurement

LOOK_BACK: Final = 64
"""Number of events before a turn in which its utterance is looked for."""
ALONE: Final = frozenset(
    {"session.started", "session.ended", "owner.changed", "transcript.final", "transcript.failed"}
)
"""Events that say by themselves what they count."""
MEASURED: Final = ALONE | TERMINAL | {"playback.ended"}
"""Events that count something: each is one of those that workers see."""
_PAGE: Final = 500


class SessionMeter:
    """Applied to every event of a session, or to all of a stretch of it, in order."""

    def __init__(self, session: SessionId) -> None:
        self._session = session
        self._turns: dict[TurnId, TurnMeter] = {}
        self._open: dict[TurnId, TurnMeter] = {}
        """Those that are not over: what is held makes nothing late of the others."""
        self._said: dict[tuple[str, int], tuple[Seq, float]] = {}
        self._held_ms: int | None = None
        self._copied_ms = -1
        """Events until then happened in another session, and were counted there."""

    def apply(self, recorded: Recorded) -> Tally | None:
        """Metrics of this event; None: it counts nothing."""
        match recorded.type:
            case "session.started":
                self._copied_ms = created_ms(self._session) if _is_copy(recorded) else -1
            case "turn.requested":
                self._held_ms = None
                turn, spoken_ms = TurnId(recorded.seq), self._spoken_ms(recorded)
                self._turns[turn] = self._open[turn] = TurnMeter(recorded, spoken_ms)
            case "playback.paused":
                self._held_ms = recorded.ts_ms if self._held_ms is None else self._held_ms
            case "playback.resumed":
                self._resume(recorded.ts_ms)
        meter = self._turns.get(recorded.turn)
        counted = None if meter is None else meter.apply(recorded, self._held_ms)
        if recorded.type in TERMINAL:
            self._open.pop(recorded.turn, None)
        if recorded.type in ALONE:
            counted = self._alone(recorded)
        if recorded.ts_ms <= self._copied_ms and recorded.type not in ("session.started", "session.ended"):
            return None
        return counted

    def _resume(self, now_ms: int) -> None:
        if self._held_ms is not None:
            for turn in self._open.values():
                turn.go_on(now_ms - self._held_ms)
            self._held_ms = None

    def _spoken_ms(self, requested: Recorded) -> float | None:
        """When the last of the utterances that the turn answers was over."""
        name, utterances = requested.data.get("input"), requested.data.get("utterances") or ()
        said = self._said.get((name, utterances[-1])) if name and utterances else None
        return said[1] if said is not None and requested.seq - said[0] <= LOOK_BACK else None

    def _alone(self, recorded: Recorded) -> Tally:
        data, found = recorded.data, Tally()
        match recorded.type:
            case "session.started":
                found.count(metric_names.SESSIONS_STARTED, data.get("kind", "session"))
            case "session.ended":
                found.count(metric_names.SESSIONS_ENDED, data["reason"])
            case "owner.changed":
                found.count(metric_names.OWNER_CHANGES)
            case "transcript.failed":
                found.count(metric_names.RECOGNITION_ERRORS, data["mode"], data["code"])
            case "transcript.final":
                said_ms = recorded.ts_ms - data["after_ms"]
                self._said[data["input"], data["utterance"]] = (recorded.seq, said_ms)
                found.observe(metric_names.RECOGNITION, data["after_ms"] / 1_000, data["mode"])
                if (length_ms := data["end_ms"] - data["start_ms"]) > 0:
                    found.observe(metric_names.RECOGNITION_RTF, data["decode_ms"] / length_ms, data["mode"])
        return found


def _is_copy(started: Recorded) -> bool:
    """A fork, or an import: what came before it was made is told again, not anew."""
    data = started.data
    forked = data.get("parent_seq") is not None and data.get("kind") != "narration"
    return forked or data.get("imported_from") is not None


async def measured(log: EventLog, session: SessionId, event: Recorded) -> Tally:
    """Metrics of one event, from the stretch of the log that it is about.

    Earlier events were counted when they came: where the log ends before the event, as after the loss of
    its last second, there is nothing left to count.
    """
    meter = SessionMeter(session)
    if event.type in ALONE:
        return meter.apply(event) or Tally()
    if event.type == "playback.ended" and event.seq - event.turn > LATEST_REPORT:
        return played(event.data)
    after = Seq(max(0, event.turn - 1 - LOOK_BACK))
    while page := await log.read(session, after, limit=min(_PAGE, event.seq - after)):
        for recorded in page:
            counted = meter.apply(recorded)
            if recorded.seq >= event.seq:
                return (counted if recorded.seq == event.seq else None) or Tally()
        after = page[-1].seq
    return Tally()


async def recounted(log: EventLog, session: SessionId) -> Tally:
    """Metrics of all events of a session."""
    meter, total, after = SessionMeter(session), Tally(), Seq(0)
    while page := await log.read(session, after, limit=_PAGE):
        for recorded in page:
            total.add(meter.apply(recorded))
        after = page[-1].seq
    return total


def measurements(tally: Tally) -> tuple[Measurement, ...]:
    return tuple(map(_measurement, tally.series()))


def _measurement(series: Series) -> Measurement:
    labels = dict(zip(series.metric.labels, series.labels, strict=True))
    if series.metric.kind != "histogram":
        return Measurement(name=series.metric.name, labels=labels, total=series.total)
    return Measurement(
        name=series.metric.name,
        labels=labels,
        total=round(series.total, 6),
        count=series.count,
        p50=_rounded(series.quantile(0.5)),
        p95=_rounded(series.quantile(0.95)),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
