"""A copy is whole or it is not there, and it is nobody's work."""

from collections.abc import AsyncGenerator

import anyio
import pytest

from pipeline.transfer.session_copy import write_copy
from schemas.errors import Conflict, SessionFull
from schemas.events import TurnRequested
from schemas.events.recorded import NewEvent
from schemas.ids import Seq, new_session_id
from schemas.settings import SessionSettings
from tests.support.eventlog.archives import Tiers, whole
from tests.support.eventlog.log_events import ENDED, STARTED, batch, delta, new

pytestmark = pytest.mark.anyio
WISH = TurnRequested(kind="prompt", text="Well?", settings=SessionSettings())


async def events(
    count: int, *, trouble: Exception | None = None, sealed: bool = False, sound: bytes = b""
) -> AsyncGenerator[NewEvent, None]:
    yield new(STARTED, ts_ms=7)
    yield new(WISH, ts_ms=8)
    for n in range(count):
        yield new(delta(n), ts_ms=9 + n, audio=sound)
    if trouble is not None:
        raise trouble
    if sealed:
        yield new(ENDED, ts_ms=9 + count)


@pytest.mark.parametrize("count", [0, 1, 126, 127, 128, 400])
async def test_every_event_is_copied_with_its_time(tiers: Tiers, count: int) -> None:
    session = new_session_id()
    head = await write_copy(tiers.log, session, events(count, sealed=True, sound=b"sound"))
    said = [one async for one in events(count, sealed=True, sound=b"sound")]
    copied = await whole(tiers.log, session)
    assert [(f.type, f.ts_ms, f.audio) for f in copied] == [
        (one.event.type, one.ts_ms, one.audio or None) for one in said
    ]
    assert head == len(said)
    assert session not in await tiers.log.abandoned()
    assert await tiers.log.acquire(session, "an owner", 1_000)


@pytest.mark.parametrize("count", [0, 300])
async def test_a_source_that_fails_leaves_no_session(tiers: Tiers, count: int) -> None:
    session = new_session_id()
    with pytest.raises(ValueError, match="torn"):
        await write_copy(tiers.log, session, events(count, trouble=ValueError("torn")))
    assert await tiers.log.read(session, Seq(0)) == []
    assert await tiers.log.archival.remains(session) == 0


async def test_a_copy_that_is_too_large_leaves_no_session(tiers: Tiers) -> None:
    session = new_session_id()
    with pytest.raises(SessionFull):
        await write_copy(tiers.log, session, events(60, sound=bytes(10_000)))
    assert await tiers.log.archival.remains(session) == 0


async def test_a_cancelled_copy_leaves_no_session(tiers: Tiers) -> None:
    session = new_session_id()

    async def endless() -> AsyncGenerator[NewEvent, None]:
        async for event in events(300):
            yield event
        scope.cancel()
        await anyio.lowlevel.checkpoint()

    with anyio.CancelScope() as scope:
        await write_copy(tiers.log, session, endless())
    assert scope.cancelled_caught
    assert await tiers.log.archival.remains(session) == 0


async def test_no_other_writer_can_write_into_a_copy(tiers: Tiers) -> None:
    session = new_session_id()

    async def disturbed() -> AsyncGenerator[NewEvent, None]:
        async for event in events(300):
            yield event
        await tiers.log.append([batch(session, 1, delta(0), producer="an intruder")])

    with pytest.raises(Conflict):
        await write_copy(tiers.log, session, disturbed())
    assert await tiers.log.archival.remains(session) == 0
