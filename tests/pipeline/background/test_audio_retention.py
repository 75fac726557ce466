"""Old input audio is dropped in the log and in the archive; all else stays."""

import time
from collections.abc import Awaitable, Callable
from hashlib import sha256
from math import inf
from pathlib import Path

import anyio
import pytest

from pipeline.background.audio_retention import RedisSound, Retention
from pipeline.background.session_directory import Directory
from pipeline.eventlog.archive import audio_redaction
from pipeline.eventlog.archive.archive_store import ArchiveStore
from pipeline.eventlog.archive.audio_redaction import AudioRedaction
from schemas.errors import ArchiveUnavailable
from schemas.events import AudioChunk, InputAudio
from schemas.events.recorded import NewEvent, Recorded
from schemas.ids import Seq, SessionId, TurnId, new_session_id
from tests.support.eventlog.archives import SMALL, Tiers, whole
from tests.support.eventlog.log_events import ENDED, batch, creation

pytestmark = pytest.mark.anyio

DAY_MS = 86_400_000
NOW_MS = 100 * DAY_MS
DAYS = 30.0


class Known(Directory):
    """A list of sessions that no worker has to make first."""

    def __init__(self, tiers: Tiers, *sessions: SessionId) -> None:
        super().__init__(tiers.log.hot)
        self.sessions = list(sessions)

    async def known(self, partition: int) -> list[SessionId]:
        keys = await self._log.keys()
        return [session for session in self.sessions if keys.partition(session) == partition]


def retention(tiers: Tiers, *sessions: SessionId, days: float | None = DAYS) -> Retention:
    tiers.time.ms = NOW_MS
    redact = AudioRedaction(tiers.log.archival, tiers.store, tiers.time).redact
    hot = RedisSound(tiers.log.hot)
    return Retention(tiers.log, Known(tiers, *sessions), hot, redact, tiers.time, days=days)


def heard(n: int, at_ms: int) -> NewEvent:
    sound = bytes([n]) * 50
    said = InputAudio(input="i", at_ms=500 * n, ms=500, bytes=50, sha256=sha256(sound).hexdigest())
    return NewEvent(said, at_ms, audio=sound)


def answered(n: int, at_ms: int) -> NewEvent:
    return NewEvent(
        AudioChunk(sentence=0, chunk=n, at_ms=20 * n, ms=20, bytes=30),
        at_ms,
        TurnId(2),
        audio=bytes([n]) * 30,
    )


async def session_of(tiers: Tiers, ages: list[float], *, sealed: bool) -> SessionId:
    """A piece of sound that came in, and one of an answer, so many days ago each."""
    session = new_session_id()
    await tiers.log.append([creation(session)])
    events = [
        make(n, NOW_MS - int(age * DAY_MS)) for n, age in enumerate(ages, 1) for make in (heard, answered)
    ]
    await tiers.log.append([batch(session, 1, *events)])
    if sealed:
        await tiers.log.append([batch(session, 1, ENDED, producer="end", mode="seal")])
    return session


def sounds(events: list[Recorded], kind: str) -> list[bool]:
    return [bool(event.audio) for event in events if event.type == kind]


def without_sound(events: list[Recorded]) -> list[tuple[int, str, object]]:
    return [(event.seq, event.type, event.data) for event in events]


@pytest.mark.parametrize("where", ["log", "archive and log", "archive"])
async def test_old_sound_that_came_in_is_dropped_and_its_events_stay(tiers: Tiers, where: str) -> None:
    session = await session_of(tiers, [50, 40, 31, 29, 1], sealed=where != "log")
    before = await whole(tiers.log, session)
    if where != "log":
        assert await tiers.archiver.archive(session) is not None
    if where == "archive":
        await tiers.vanish(session)
    assert await retention(tiers, session).sweep() == 3
    after = await whole(tiers.log, session)
    assert without_sound(after) == without_sound(before)
    assert sounds(after, "input.audio") == [False, False, False, True, True]
    assert sounds(after, "audio.chunk") == [True] * 5
    assert all(new.audio == old.audio for new, old in zip(after, before, strict=True) if new.audio)
    if where == "archive and log":
        await tiers.vanish(session)
        assert sounds(await whole(tiers.log, session), "input.audio") == [False, False, False, True, True]


async def test_a_later_archive_is_made_without_the_sound(tiers: Tiers) -> None:
    session = await session_of(tiers, [40, 1], sealed=True)
    assert await retention(tiers, session).sweep() == 1
    assert await tiers.archiver.archive(session) is not None
    await tiers.vanish(session)
    assert sounds(await whole(tiers.log, session), "input.audio") == [False, True]


async def test_everything_is_looked_at_once(tiers: Tiers) -> None:
    session = await session_of(tiers, [40, 20, 10], sealed=False)
    sweeper = retention(tiers, session)
    assert [await sweeper.sweep() for _ in range(3)] == [1, 0, 0]
    tiers.time.ms += 11 * DAY_MS
    assert [await sweeper.sweep() for _ in range(2)] == [1, 0]
    later = tiers.time.ms
    await tiers.log.append([batch(session, 2, heard(9, later))])
    tiers.time.ms = later + int(DAYS * DAY_MS) + 1_000
    assert await sweeper.sweep() == 2
    assert sounds(await whole(tiers.log, session), "input.audio") == [False] * 4


async def test_sound_is_kept_where_that_is_wished(tiers: Tiers) -> None:
    session = await session_of(tiers, [5_000], sealed=False)
    assert await retention(tiers, session, days=None).sweep() == 0
    assert sounds(await whole(tiers.log, session), "input.audio") == [True]


async def test_a_reader_who_knows_the_old_file_finds_its_way(tiers: Tiers) -> None:
    session = await session_of(tiers, [50, 40, 1], sealed=True)
    await tiers.archiver.archive(session)
    await tiers.vanish(session)
    assert sounds(await whole(tiers.log, session), "input.audio") == [True] * 3
    await retention(tiers, session).sweep()
    assert sounds(await whole(tiers.log, session), "input.audio") == [False, False, True]


async def test_a_session_that_was_erased_meanwhile_stays_erased(tiers: Tiers) -> None:
    session = await session_of(tiers, [40], sealed=True)
    await tiers.archiver.archive(session)
    await tiers.log.delete(session)
    assert await retention(tiers, session).sweep() == 0
    assert tiers.files(session) == []


async def test_a_worker_that_cannot_have_the_files_tries_again(tiers: Tiers) -> None:
    session = await session_of(tiers, [40], sealed=True)
    await tiers.archiver.archive(session)
    sweeper = retention(tiers, session)
    archival = tiers.log.archival
    assert await archival.begin(session, "somebody", lease_ms=60_000, now_ms=NOW_MS) is not None
    assert await sweeper.sweep() == 0
    keys = await tiers.log.hot.keys()
    await tiers.log.hot.call(("DEL", keys.beside(keys.partition(session), f"arl:{session}")))
    assert await sweeper.sweep() == 1
    await tiers.vanish(session)
    assert sounds(await whole(tiers.log, session), "input.audio") == [False]


class Frozen(ArchiveStore):
    """An archive whose writer stands still before a file gets its bytes."""

    meanwhile: Callable[[], Awaitable[None]]

    async def write(self, session: SessionId, file: str, data: bytes, until_s: float = inf) -> None:
        await self.meanwhile()
        await super().write(session, file, data, until_s)


async def test_a_worker_that_stood_still_writes_no_file_of_a_session_that_was_erased_meanwhile(
    tiers: Tiers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio_redaction, "_LEASE_MS", 20)
    tiers.time.ms = time.time_ns() // 1_000_000
    session = await session_of(tiers, [40, 1], sealed=True)
    await tiers.archiver.archive(session)
    store = Frozen(SMALL, tmp_path)

    async def erased_meanwhile() -> None:
        await anyio.sleep(0.03)
        await tiers.log.delete(session)
        assert tiers.files(session) == []

    store.meanwhile = erased_meanwhile
    with pytest.raises(ArchiveUnavailable):
        await AudioRedaction(tiers.log.archival, store, tiers.time).redact(session, {Seq(2)})
    assert tiers.files(session) == []
