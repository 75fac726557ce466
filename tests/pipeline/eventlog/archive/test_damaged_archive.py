"""One session's trouble in the archive is not that of those who listen to others."""

import time
from typing import Any

import anyio
import pytest

from pipeline.eventlog.event_log import Verdict
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.tailer import Tailer
from pipeline.eventlog.tiered_log import YOUNG_MS
from schemas.errors import ArchiveDamaged
from schemas.events.recorded import Recorded
from schemas.ids import Seq, new_session_id
from tests.support.eventlog.archives import Tiers, tell
from tests.support.eventlog.log_events import batch, creation, delta

pytestmark = pytest.mark.anyio


async def test_a_damaged_archive_ends_no_listening_to_other_sessions(tiers: Tiers) -> None:
    live, old = await tell(tiers.log, 10, sealed=False), await tell(tiers.log, 60)
    await tiers.archiver.archive(old)
    [head] = await tiers.log.heads([live])
    assert head is not None
    async with (
        Tailer(tiers.log, watch_s=0.02) as tailer,
        tailer.follow(live, head.seq) as news,
        tailer.follow(old, Seq(59)) as rest,
    ):
        await tiers.vanish(old)
        for path in tiers.root.rglob("*.events.zst"):
            path.write_bytes(b"rotten")
        tiers.log.archive.forget(old)
        with anyio.fail_after(5):
            with pytest.raises(ArchiveDamaged):
                await anext(rest)
            await anyio.sleep(0.09)  # it looks where everybody stands
            for number in (1, 2):
                await tiers.log.append([batch(live, number, delta(number), producer="late")])
                assert [event.seq for event in await anext(news)] == [head.seq + number]


async def test_a_damaged_archive_fails_no_batch_of_other_sessions(tiers: Tiers) -> None:
    """They share round trips: what is in the log counts as there, whatever became of the neighbour."""
    live, also = await tell(tiers.log, 10, sealed=False), await tell(tiers.log, 10, sealed=False)
    old = await tell(tiers.log, 60, session=new_session_id(time.time_ns() // 1_000_000 - 2 * YOUNG_MS))
    await tiers.archiver.archive(old)
    await tiers.vanish(old)
    for path in tiers.root.rglob("*.events.zst"):
        path.write_bytes(b"rotten")
    tiers.log.archive.forget(old)
    said = await tiers.log.append(
        [batch(session, 1, delta(1), producer="late") for session in (live, old, also)] + [creation(old)]
    )
    damaged = Verdict.ARCHIVE_DAMAGED
    assert [one.verdict for one in said] == [Verdict.OK, damaged, Verdict.OK, damaged]
    async with Recorder(tiers.log) as recorder:
        with pytest.raises(ArchiveDamaged):
            await recorder.post(old, delta(2))


async def test_a_session_that_is_created_while_the_archive_is_asked_is_not_lost(
    tiers: Tiers, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, looks, read = new_session_id(), 0, tiers.log.archive.read

    async def late(*given: Any, **how: Any) -> list[Recorded]:
        nonlocal looks
        found = await read(*given, **how)
        looks += 1
        if looks == 2:
            await tiers.log.append([creation(session)])
        return found

    monkeypatch.setattr(tiers.log.archive, "read", late)
    assert [event.seq for event in await tiers.log.read(session, Seq(0))] == [1]
