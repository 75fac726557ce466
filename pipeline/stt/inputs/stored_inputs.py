"""What a session's log has of the sound that came in."""

from dataclasses import dataclass

from pipeline.eventlog.event_log import EventLog
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId


@dataclass(slots=True)
class StoredInput:
    """What the log has of one microphone or file."""

    name: str
    opened: Recorded
    reference: str = ""
    first_audio: Seq | None = None
    from_ms: int = 0
    until_ms: int = 0


async def stored_inputs(log: EventLog, session: SessionId) -> list[StoredInput]:
    """Those that have sound, in the order in which they were opened."""
    found: dict[str, StoredInput] = {}
    after = Seq(0)
    while page := await log.read(session, after):
        for each in page:
            if each.type == "input.opened":
                known = found.setdefault(each.data["input"], StoredInput(each.data["input"], each))
                known.reference = known.reference or each.data["reference"]
            elif each.type == "input.audio" and (known_by := found.get(each.data["input"])):
                _extend(known_by, each)
        after = page[-1].seq
    return [each for each in found.values() if each.first_audio is not None]


def _extend(stored: StoredInput, audio: Recorded) -> None:
    if stored.first_audio is None:
        stored.first_audio, stored.from_ms = audio.seq, audio.data["at_ms"]
    stored.until_ms = audio.data["at_ms"] + audio.data["ms"]
