"""Sessions to archive, and ways to make the hot log forget them."""

import random
from dataclasses import dataclass
from pathlib import Path

from pipeline.eventlog.archive.archive_store import ArchiveStore, folder_of
from pipeline.eventlog.archive.archiver import Archiver
from pipeline.eventlog.event_log import EventLog
from pipeline.eventlog.tiered_log import TieredLog
from schemas.events import AudioChunk
from schemas.events.recorded import NewEvent, Recorded
from schemas.ids import Seq, SessionId, TurnId, new_session_id
from schemas.settings import ArchiveSettings
from tests.support.eventlog.log_events import ENDED, batch, creation, delta

SMALL = ArchiveSettings(
    segment_facts=50, segment_bytes=4_096, hot_facts=20, idle_archive_s=600, idle_facts=5, hot_s=60
)
"""So that small sessions fill several files."""


class Time:
    """A clock that stands until the test moves it; who sleeps on it moves it."""

    def __init__(self) -> None:
        self.ms = 1_500

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1_000

    async def sleep(self, seconds: float) -> None:
        self.ms += max(1, round(seconds * 1_000))


@dataclass
class Tiers:
    log: TieredLog
    archiver: Archiver
    store: ArchiveStore
    time: Time
    root: Path

    def files(self, session: SessionId) -> list[str]:
        folder = self.root / folder_of(session)
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    async def vanish(self, session: SessionId, *, meta: bool = True) -> None:
        """The hot log's keys of the session are gone, as if their time had come."""
        keys = await self.log.hot.keys()
        names = [keys.events(session), keys.audio(session), *([keys.meta(session)] if meta else [])]
        await self.log.hot.call(("DEL", *names))


async def tell(
    log: EventLog, events: int, *, sealed: bool = True, session: SessionId | None = None, sound: int = 100
) -> SessionId:
    """A session of so many events, every third with up to `sound` bytes of audio; closed if `sealed`."""
    session = session or new_session_id()
    dice = random.Random(events)
    await log.append([creation(session)])
    made: list[NewEvent] = []
    for n in range(2, events + (0 if sealed else 1)):
        chunk = AudioChunk(sentence=0, chunk=n, at_ms=20 * n, ms=20, bytes=sound)
        audio = dice.randbytes(1 + dice.randrange(sound)) if n % 3 == 0 else b""
        made.append(NewEvent(chunk if audio else delta(n), 1_000 + n, TurnId(2), audio=audio))
    for number, at in enumerate(range(0, len(made), 100), 1):
        await log.append([batch(session, number, *made[at : at + 100])])
    if sealed:
        await log.append([batch(session, 1, ENDED, producer="end", mode="seal")])
    return session


async def whole(log: EventLog, session: SessionId, *, audio: bool = True, limit: int = 37) -> list[Recorded]:
    """Every event, read in pages as a reader would."""
    events: list[Recorded] = []
    while page := await log.read(session, Seq(len(events)), limit=limit, audio=audio):
        assert len(page) <= limit
        events += page
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    return events
