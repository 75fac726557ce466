"""An event as one line of CloudEvents 1.0 JSON, and back without loss. No I/O.

The sound of an event lies in the bundle's packets file, where the extension attribute `audioref` says. It
is no `dataref`: by the standard's definition that is the event's `data` itself, kept elsewhere.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.bounds import VALUES, too_many_in
from schemas.errors import BundleDamaged, BundleInvalid
from schemas.events.recorded import Recorded
from schemas.events.upcasting import upcast
from schemas.ids import Seq, SessionId, TurnId

PACKETS: Final = "audio/packets.bin"
TYPE_PREFIX: Final = "dev.rhapsode."
DIGITS: Final = 10
_TYPE: Final = re.compile(r"dev\.rhapsode\.([a-z_.]{1,64})\.v([1-9]\d{0,3})")
_SUBJECT: Final = re.compile(r"turn/([1-9]\d{0,14})")
_AUDIOREF: Final = re.compile(r"audio/packets\.bin#bytes=(\d{1,15})-(\d{1,15})")
_NO_DATE: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Event(BaseModel):
    """Fields that are read of a line; fields that another tool has added are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True)

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    subject: str | None = None
    time: str = Field(max_length=40)
    sequence: str = Field(pattern=rf"^\d{{{DIGITS}}}$")
    cause: str | None = Field(default=None, pattern=rf"^\d{{{DIGITS}}}$")
    audioref: str | None = None
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CloudEventLine:
    """A line as read: its event without the sound, and where the sound is."""

    event: Recorded
    start: int = 0
    size: int = 0


def source_of(session: SessionId) -> str:
    return f"/v1/sessions/{session}"


def write_line(session: SessionId, recorded: Recorded, *, audio_at: int) -> bytes:
    """`audio_at`: where the packets file has the event's audio, if it has some."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"{session}/{recorded.seq}",
        "source": source_of(session),
        "type": f"{TYPE_PREFIX}{recorded.stored_type}.v{recorded.v}",
        "time": _time(recorded.ts_ms),
        "datacontenttype": "application/json",
        "sequence": f"{recorded.seq:0{DIGITS}}",
        "partitionkey": session,
        "data": recorded.data,
    }
    if recorded.turn:
        event["subject"] = f"turn/{recorded.turn}"
    if recorded.cause is not None:
        event["cause"] = f"{recorded.cause:0{DIGITS}}"
    if recorded.audio:
        event["audioref"] = f"{PACKETS}#bytes={audio_at}-{audio_at + len(recorded.audio) - 1}"
    return orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)


def read_line(line: bytes, session: SessionId, seq: Seq) -> CloudEventLine:
    """The event that must be `seq` of `session`. Raises BundleInvalid, or BundleDamaged if another is."""
    if too_many_in(line):
        raise BundleInvalid(f"line {seq} of the events has more than {VALUES} values")
    try:
        event = _Event.model_validate(orjson.loads(line))
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise BundleInvalid(f"line {seq} of the events is no CloudEvents 1.0 event of ours") from error
    if (event.id, event.source, int(event.sequence)) != (f"{session}/{seq}", source_of(session), seq):
        raise BundleDamaged(f"line {seq} of the events is not event {seq} of the session")
    stored, version = _matched(_TYPE, event.type, seq)
    try:
        kind, v, data = upcast(stored, int(version), _plain(event.data))
    except (KeyError, TypeError, ValueError) as error:
        raise BundleInvalid(f"line {seq} of the events is not what a {stored} is") from error
    turn = int(_matched(_SUBJECT, event.subject, seq)[0]) if event.subject else 0
    start, size = 0, 0
    if event.audioref is not None:
        first, last = (int(number) for number in _matched(_AUDIOREF, event.audioref, seq))
        start, size = first, last - first + 1
    log_event = Recorded(
        seq=seq,
        ts_ms=_millis(event.time, seq),
        turn=TurnId(turn),
        type=kind,
        v=v,
        data=data,
        cause=Seq(int(event.cause)) if event.cause else None,
    )
    return CloudEventLine(log_event, start, size)


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    return dict(data)


def _matched(pattern: re.Pattern[str], text: str, seq: Seq) -> tuple[str, ...]:
    found = pattern.fullmatch(text)
    if found is None:
        raise BundleInvalid(f"line {seq} of the events says {text[:80]!r}, which means nothing here")
    return found.groups()


def _time(ts_ms: int) -> str:
    seconds, millis = divmod(ts_ms, 1_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03}Z"


def _millis(time: str, seq: Seq) -> int:
    """Whole milliseconds, without floating point."""
    try:
        since = datetime.fromisoformat(time) - _NO_DATE
    except (ValueError, TypeError, OverflowError) as error:
        raise BundleInvalid(f"line {seq} of the events has no readable time") from error
    millis = (since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000
    if millis < 0:
        raise BundleInvalid(f"line {seq} of the events is from before 1970")
    return millis
