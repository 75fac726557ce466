"""The archive has every event; no event leaves the log before; no death loses one."""

import gc
import os
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.eventlog.archive import archive_reader
from pipeline.eventlog.archive.archival import Archival, ArchiveStatus, ArchiveVerdict
from pipeline.eventlog.archive.archive_reader import ArchiveReader
from pipeline.eventlog.archive.archive_store import ArchiveStore, folder_of
from pipeline.eventlog.archive.archiver import Archiver, due
from pipeline.eventlog.archive.segments import SOUND_BYTES, Footer, verify
from pipeline.eventlog.event_log import Verdict
from pipeline.eventlog.redis.codec import AUDIO_MAX
from schemas.errors import ArchiveDamaged, ArchiveUnavailable
from schemas.events import AudioChunk
from schemas.events.recorded import NewEvent
from schemas.ids import Seq, TurnId, new_session_id
from schemas.settings import ArchiveSettings
from tests.support.eventlog.archives import SMALL, Tiers, tell, whole
from tests.support.eventlog.log_events import ENDED, batch, creation, delta

pytestmark = pytest.mark.anyio


async def test_a_closed_session_is_archived_whole_and_then_expires(tiers: Tiers) -> None:
    session = await tell(tiers.log, 180)
    record = await tiers.archiver.archive(session)
    assert record is not None
    assert (record.first, record.last, record.whole) == (1, 180, True)
    assert record.segments >= 4
    [head] = await tiers.log.heads([session])
    assert head is not None
    assert (head.seq, head.state) == (180, "archived")
    keys = await tiers.log.hot.keys()
    left, *ends = await tiers.log.hot.call(
        ("TTL", keys.events(session)),
        *(("EXPIRETIME", key) for key in (keys.events(session), keys.audio(session), keys.meta(session))),
    )
    assert 50 < left <= 60
    assert [end - ends[0] for end in ends] == [0, 0, 86_400]


async def test_events_are_the_same_from_the_archive_with_and_without_audio(tiers: Tiers) -> None:
    session = await tell(tiers.log, 180)
    said = await whole(tiers.log, session)
    assert any(event.audio for event in said)
    silent = await whole(tiers.log, session, audio=False)
    await tiers.archiver.archive(session)
    for meta in (False, True):
        await tiers.vanish(session, meta=meta)
        assert await whole(tiers.log, session) == said
        assert await whole(tiers.log, session, audio=False) == silent


async def test_a_reader_keeps_few_footers_however_much_it_reads(
    tiers: Tiers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of a file with 5,000 pieces of sound takes 0.7 MB: those of a day's imports were 12 GB."""
    monkeypatch.setattr(archive_reader, "FOOTERS", 3, raising=False)
    session = await tell(tiers.log, 180)
    said = await whole(tiers.log, session)
    await tiers.archiver.archive(session)
    await tiers.vanish(session, meta=True)
    gc.collect()
    before = footers_in_memory()
    for seq in range(170):  # a listener who leaves before the end
        [event] = await tiers.log.read(session, Seq(seq), limit=1, audio=True)
        assert event == said[seq]
    assert footers_in_memory() - before <= 3


def footers_in_memory() -> int:
    return sum(isinstance(one, Footer) for one in gc.get_objects())


async def test_a_page_with_much_sound_ends_early(tiers: Tiers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiers.log.hot, "_max_session_bytes", 1 << 30)
    session = new_session_id()
    await tiers.log.append([creation(session)])
    for number in range(1, 31):
        loud = AudioChunk(sentence=0, chunk=number, at_ms=0, ms=20, bytes=AUDIO_MAX)
        events = NewEvent(loud, 1_000, TurnId(2), audio=bytes(AUDIO_MAX)), delta(number)
        await tiers.log.append([batch(session, number, *events)])
    await tiers.log.append([batch(session, 1, ENDED, producer="end", mode="seal")])
    said = await whole(tiers.log, session)
    assert sum(len(event.audio or b"") for event in said) == 30 * AUDIO_MAX
    large = ArchiveSettings(hot_s=60)  # in one file
    archiver = Archiver(tiers.log.archival, tiers.store, large, tiers.time)
    assert (await archiver.archive(session)) is not None
    await tiers.vanish(session)
    page = await tiers.log.read(session, Seq(0), audio=True)
    assert page == said[: len(page)]
    assert sum(len(event.audio or b"") for event in page) < SOUND_BYTES + AUDIO_MAX
    assert await whole(tiers.log, session) == said
    assert await tiers.log.read(session, Seq(0)) == [replace(event, audio=None) for event in said]


async def test_archiving_again_changes_nothing_and_gives_the_same_bytes(tiers: Tiers) -> None:
    session = await tell(tiers.log, 120)
    first = await tiers.archiver.archive(session)
    folder = tiers.root / folder_of(session)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert await tiers.archiver.archive(session) is None
    keys = await tiers.log.hot.keys()
    await tiers.log.hot.call(("HDEL", keys.meta(session), "ar", "ac"))
    await tiers.log.hot.call(("HSET", keys.meta(session), "st", "sealed"))
    again = await tiers.archiver.archive(session)
    assert again == first
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


async def test_every_file_proves_itself(tiers: Tiers) -> None:
    session = await tell(tiers.log, 120)
    await tiers.archiver.archive(session)
    footers = [verify(path.read_bytes()) for path in sorted((tiers.root / folder_of(session)).iterdir())]
    events = [footer for footer in footers if footer.kind == "events"]
    assert sum(footer.n for footer in events) == 120
    assert [footer.sealed for footer in events] == [False] * (len(events) - 1) + [True]
    assert {footer.audio for footer in events} - {""} == {f.sha256 for f in footers if f.kind == "audio"}


async def test_the_chain_does_not_depend_on_where_the_files_are_cut(tiers: Tiers, tmp_path: Path) -> None:
    session = await tell(tiers.log, 120)
    coarse = SMALL.model_copy(update={"segment_facts": 1_000, "segment_bytes": 1 << 20})
    one = await tiers.archiver.archive(session)
    keys = await tiers.log.hot.keys()
    await tiers.log.hot.call(("HDEL", keys.meta(session), "ar", "ac"))
    await tiers.log.hot.call(("HSET", keys.meta(session), "st", "sealed"))
    store = ArchiveStore(ArchiveSettings(url=f"file://{tmp_path}/other"), tmp_path)
    other = await Archiver(tiers.log.archival, store, coarse, tiers.time).archive(session)
    assert one is not None
    assert other is not None
    assert (one.chain, one.segments > other.segments) == (other.chain, True)


async def test_a_live_session_sheds_full_segments_and_keeps_its_latest_events(tiers: Tiers) -> None:
    session = await tell(tiers.log, 130, sealed=False, sound=1)
    said = await whole(tiers.log, session)
    record = await tiers.archiver.archive(session)
    assert record is not None
    assert (record.last, record.whole) == (100, False)
    hot = await tiers.log.archival.entries(session, Seq(0), 1_000)
    assert hot[0].seq == 101
    assert await whole(tiers.log, session) == said
    assert [o.verdict for o in await tiers.log.append([batch(session, 99, delta(0), producer="late")])] == [
        Verdict.PRODUCER_GAP
    ]
    assert await tiers.archiver.archive(session) is None


async def test_an_idle_session_is_archived_once_it_is_worth_a_file(tiers: Tiers) -> None:
    session = await tell(tiers.log, 30, sealed=False)
    assert await tiers.archiver.archive(session) is None
    tiers.time.ms += 600_000
    record = await tiers.archiver.archive(session)
    assert record is not None
    assert record.last == 30
    hot = await tiers.log.archival.entries(session, Seq(0), 1_000)
    assert [event.seq for event in hot] == list(range(11, 31))
    await tiers.log.append([batch(session, 1, delta(1), delta(2), producer="later")])
    tiers.time.ms += 600_000
    assert await tiers.archiver.archive(session) is None


async def test_a_session_that_goes_on_and_is_closed_gets_its_rest(tiers: Tiers) -> None:
    session = await tell(tiers.log, 130, sealed=False)
    await tiers.archiver.archive(session)
    await tiers.log.append([batch(session, 1, *(delta(n) for n in range(40)), producer="q")])
    await tiers.log.append([batch(session, 2, ENDED, producer="q", mode="seal")])
    said = await whole(tiers.log, session)
    record = await tiers.archiver.archive(session)
    assert record is not None
    assert record.whole
    await tiers.vanish(session)
    assert await whole(tiers.log, session) == said


async def test_a_sweep_finds_what_nobody_announced(tiers: Tiers) -> None:
    sealed = [await tell(tiers.log, 10 + n) for n in range(5)]
    long = await tell(tiers.log, 60, sealed=False)
    short = await tell(tiers.log, 10, sealed=False)
    done = await tiers.archiver.sweep()
    assert {record.session for record in done} == {*sealed, long}
    assert short not in {record.session for record in done}
    assert await tiers.archiver.sweep() == []


async def test_files_of_an_archiver_that_died_before_telling_are_replaced(tiers: Tiers) -> None:
    session = await tell(tiers.log, 130, sealed=False, sound=1)
    await tiers.store.write(session, "0000000001-0000000077.events.zst", b"half a file")
    await tiers.store.write(session, ".part-0123", b"half a file")
    said = await whole(tiers.log, session)
    await tiers.archiver.archive(session)
    assert [name for name in tiers.files(session) if "77" in name or "part" in name] == []
    assert await whole(tiers.log, session) == said


async def test_a_session_has_one_archiver_at_a_time(tiers: Tiers) -> None:
    session = await tell(tiers.log, 30)
    now = tiers.time.now_ms()
    assert await tiers.log.archival.begin(session, "another", lease_ms=60_000, now_ms=now) is not None
    assert await tiers.archiver.archive(session) is None
    await tiers.log.archival.settle(session, "another", began_ms=now)
    assert await tiers.archiver.archive(session) is not None


async def test_an_intent_of_the_dead_is_finished_by_the_next_sweep(tiers: Tiers) -> None:
    session = await tell(tiers.log, 10, sealed=False)
    archival = tiers.log.archival
    await archival.begin(session, "dead", lease_ms=1, now_ms=tiers.time.now_ms())
    await tiers.store.write(session, "0000000001-0000000005.events.zst", b"orphan")
    await tiers.log.hot.delete(session)
    tiers.time.ms += 6 * 60_000
    await tiers.archiver.sweep()
    assert tiers.files(session) == []
    assert await archival.intents(tiers.time.now_ms()) == []


async def test_the_log_accepts_only_what_continues_the_archive(tiers: Tiers) -> None:
    session = await tell(tiers.log, 30, sealed=False)
    archival = tiers.log.archival
    await archival.begin(session, "me", lease_ms=60_000, now_ms=1)

    async def say(first: int, last: int, chain: bytes = b"x", who: str = "me") -> ArchiveVerdict:
        return await archival.archived(session, who, first=Seq(first), last=Seq(last), chain=chain, hot_s=1)

    assert await say(2, 10) is ArchiveVerdict.CONFLICT
    assert await say(1, 31) is ArchiveVerdict.AHEAD
    assert await say(1, 10, who="you") is ArchiveVerdict.CONFLICT
    assert await say(1, 10) is ArchiveVerdict.OK
    assert await say(1, 10) is ArchiveVerdict.DUP
    assert await say(1, 10, b"y") is ArchiveVerdict.DIFFERS
    assert await say(1, 5) is ArchiveVerdict.DUP
    await tiers.log.hot.delete(session)
    assert await say(11, 20) is ArchiveVerdict.GONE
    assert (
        await archival.archived(new_session_id(), "me", first=Seq(1), last=Seq(1), chain=b"", hot_s=1)
        is ArchiveVerdict.NO_SESSION
    )


async def test_nothing_is_trimmed_that_is_not_archived(tiers: Tiers) -> None:
    session = await tell(tiers.log, 30, sealed=False)
    assert await tiers.log.archival.trim(session, 0, 1 << 30) == 0
    await tiers.log.archival.begin(session, "me", lease_ms=60_000, now_ms=1)
    await tiers.log.archival.archived(session, "me", first=Seq(1), last=Seq(12), chain=b"x", hot_s=1)
    assert await tiers.log.archival.trim(session, 25, 1 << 30) == 5
    assert await tiers.log.archival.trim(session, 0, 1 << 30) == 7
    assert (await tiers.log.archival.entries(session, Seq(0), 1))[0].seq == 13


async def test_an_archive_that_is_away_leaves_everything_in_the_log(tiers: Tiers, tmp_path: Path) -> None:
    session = await tell(tiers.log, 30)
    (tmp_path / "a file").write_text("in the way")
    broken = ArchiveStore(ArchiveSettings(url=f"file://{tmp_path}/a file"), tmp_path)
    archiver = Archiver(tiers.log.archival, broken, SMALL, tiers.time)
    with pytest.raises(ArchiveUnavailable):
        await archiver.archive(session)
    assert await archiver.sweep() == []
    keys = await tiers.log.hot.keys()
    assert await tiers.log.hot.call(("TTL", keys.events(session))) == [-1]
    assert len(await whole(tiers.log, session)) == 30


@pytest.mark.parametrize("kind", ["events.zst", "audio"])
async def test_a_file_that_rotted_is_never_believed(tiers: Tiers, kind: str) -> None:
    session = await tell(tiers.log, 30)
    await tiers.archiver.archive(session)
    await tiers.vanish(session)
    [file] = (tiers.root / folder_of(session)).glob(f"*.{kind}")
    data = bytearray(file.read_bytes())
    data[20] ^= 1
    file.write_bytes(data)
    with pytest.raises(ArchiveDamaged):
        await whole(tiers.log, session)


async def test_a_file_that_is_missing_is_not_the_end_of_the_session(tiers: Tiers) -> None:
    session = await tell(tiers.log, 30)
    await tiers.archiver.archive(session)
    await tiers.vanish(session)
    [file] = (tiers.root / folder_of(session)).glob("*.audio")
    file.unlink()
    with pytest.raises(ArchiveDamaged):
        await whole(tiers.log, session)
    assert len(await whole(tiers.log, session, audio=False)) == 30


async def test_a_deleted_session_is_gone_from_everywhere(tiers: Tiers) -> None:
    for meta in (False, True):
        session = await tell(tiers.log, 30)
        await tiers.archiver.archive(session)
        await tiers.vanish(session, meta=meta)
        assert len(await whole(tiers.log, session)) == 30
        await tiers.log.delete(session)
        assert tiers.files(session) == []
        assert await tiers.log.archival.remains(session) == 0
        assert await tiers.log.read(session, Seq(0)) == []
        [head] = await tiers.log.heads([session])
        assert head is not None
        assert (head.seq, head.state) == (30, "deleted")


async def test_another_process_does_not_remember_what_was_deleted(tiers: Tiers) -> None:
    session = await tell(tiers.log, 30)
    await tiers.archiver.archive(session)
    await tiers.vanish(session)
    other = type(tiers.log)(tiers.log.archival, ArchiveReader(tiers.store))
    assert len(await whole(other, session)) == 30
    await tiers.log.delete(session)
    assert await other.read(session, Seq(0)) == []
    await tiers.vanish(session)  # the tombstone's time has come
    assert await other.heads([session]) == [None]


async def test_object_stores_serve_as_well(tiers: Tiers, tmp_path: Path) -> None:
    session = await tell(tiers.log, 120)
    said = await whole(tiers.log, session)
    store = ArchiveStore(ArchiveSettings(url="memory://an archive"), tmp_path)
    archival = Archival(tiers.log.hot)
    await Archiver(archival, store, SMALL, tiers.time).archive(session)
    await tiers.vanish(session)
    log = type(tiers.log)(archival, ArchiveReader(store))
    assert await whole(log, session) == said
    assert [found async for found in store.sessions()] == [session]
    await log.delete(session)
    assert await store.files(session) == []


def test_the_due_part_depends_on_state_size_and_rest() -> None:
    def standing(seq: int, archived: int, state: str = "live", ts_ms: int = 0) -> ArchiveStatus:
        return ArchiveStatus(Seq(seq), Seq(archived), b"", state, ts_ms)  # type: ignore[arg-type]

    assert due(standing(9, 2, "sealed"), 0, SMALL) == 9
    assert due(standing(9, 9, "archived"), 0, SMALL) == 9
    assert due(standing(9, 0, "deleted"), 0, SMALL) == 0
    assert due(standing(49, 0), 0, SMALL) == 0
    assert due(standing(151, 0), 0, SMALL) == 150
    assert due(standing(151, 120), 0, SMALL) == 120
    assert due(standing(151, 120), 600_000, SMALL) == 151
    assert due(standing(151, 147), 600_000, SMALL) == 147


async def test_the_archive_is_this_users_alone_in_a_home_that_others_may_read(tiers: Tiers) -> None:
    before = os.umask(0o022)
    try:
        session = await tell(tiers.log, 60)
        await tiers.archiver.archive(session)
        await tiers.store.put_note("proofs/a.json", b"{}")
    finally:
        os.umask(before)
    found = [tiers.root, *tiers.root.rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in found if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in found if path.is_file()} == {0o600}


async def test_a_live_session_of_large_events_keeps_few_of_them_hot(tiers: Tiers) -> None:
    settings = ArchiveSettings(segment_facts=1_000, hot_facts=500, hot_bytes=65_536)
    archiver = Archiver(tiers.log.archival, tiers.log.archive.store, settings, tiers.time)
    session = new_session_id()
    await tiers.log.append([creation(session)])
    for number in range(1, 41):
        [outcome] = await tiers.log.append([batch(session, number, delta(number, "x" * 8_000))])
        assert (outcome.verdict, outcome.last) == (Verdict.OK, number + 1)
    record = await archiver.archive(session)
    assert record is not None
    assert record.last == 41
    keys = await tiers.log.hot.keys()
    [hot] = await tiers.log.hot.call(("XLEN", keys.events(session)))
    assert 6 <= hot <= 9
    assert [event.seq for event in await whole(tiers.log, session)] == list(range(1, 42))
