"""Streams are erased when their time is over, whoever asks for them or not; half-made ones go, too."""

from collections.abc import AsyncGenerator
from itertools import pairwise
from types import SimpleNamespace

import pytest

from pipeline.admission.allowance import Allowance
from pipeline.apps.stream_expiry import StreamExpiry
from pipeline.apps.streams import NewStream, Streams
from pipeline.background.audio_retention import RedisSound
from pipeline.eventlog.event_log import Head
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.tailer import Tailer
from pipeline.session_state.stream_state import StreamName
from schemas.ids import Seq, SessionId, derived_session_id, new_session_id
from schemas.settings.limit_settings import LimitSettings
from tests.pipeline.background.test_audio_retention import Known
from tests.support.eventlog.archives import Tiers
from tests.support.eventlog.log_events import creation
from tests.support.memory_meter import MemoryMeter

pytestmark = pytest.mark.anyio
NOW_MS = 1_800_000_000_000
TEXT = "text/plain"


@pytest.fixture
async def streams(tiers: Tiers) -> AsyncGenerator[Streams, None]:
    tiers.time.ms = NOW_MS
    allowance = Allowance(MemoryMeter(), LimitSettings())
    async with Recorder(tiers.log, tiers.time.now_ms) as recorder, Tailer(tiers.log) as tailer:
        yield Streams(tiers.log, recorder, tailer, allowance, tiers.time)


def expiry(tiers: Tiers, *sessions: SessionId) -> StreamExpiry:
    partitions = RedisSound(tiers.log.hot).partitions
    return StreamExpiry(tiers.log, Known(tiers, *sessions), partitions, tiers.time)


async def made(streams: Streams, name: str, **wishes: object) -> SessionId:
    stream, _ = await streams.create("anna", name, NewStream(TEXT, b"personal", **wishes))  # type: ignore[arg-type]
    return stream.session


async def state(tiers: Tiers, session: SessionId) -> str:
    [head] = await tiers.log.heads([session])
    return "" if head is None else head.state


async def test_expired_streams_are_erased_although_nobody_asks_for_them(
    tiers: Tiers, streams: Streams
) -> None:
    for_ever = await made(streams, "for ever")
    short, long = await made(streams, "short", ttl_s=100), await made(streams, "long", ttl_s=1_000)
    dated = await made(streams, "dated", expires_at="2027-01-15T08:05:00Z")  # 300 s later
    session = new_session_id()
    await tiers.log.append([creation(session)])
    sweeper = expiry(tiers, for_ever, short, long, dated, session)
    gone = [await sweeper.sweep()]
    for passed_s in (169, 1, 190, 800):
        tiers.time.ms += passed_s * 1_000
        gone.append(await sweeper.sweep())
    assert gone == [[], [], [short], [dated], [long]]
    states = [await state(tiers, one) for one in (for_ever, short, long, dated, session)]
    assert states == ["live", "deleted", "deleted", "deleted", "live"]


async def test_a_stream_that_is_read_lives_on(tiers: Tiers, streams: Streams) -> None:
    session = await made(streams, "read", ttl_s=100)
    sweeper = expiry(tiers, session)
    for _ in range(5):
        tiers.time.ms += 90_000
        await streams.touch("anna", await streams.find("anna", "read"))
        assert await sweeper.sweep() == []
    tiers.time.ms += 200_000
    assert await sweeper.sweep() == [session]


async def test_a_stream_whose_gateway_died_before_it_had_its_name_is_erased(
    tiers: Tiers, streams: Streams
) -> None:
    """As in the middle of a fork: its events are there, and its name stands for another one, or none."""
    await made(streams, "source")
    half, other = new_session_id(NOW_MS), new_session_id(NOW_MS)
    fork = NewStream(TEXT, forked_from="source")
    await streams._write("anna", "fork", half, fork)
    await streams._write("anna", "source", other, NewStream(TEXT))
    sweeper = expiry(tiers, half, other)
    assert await sweeper.sweep() == []
    tiers.time.ms += 3_600_001
    assert set(await sweeper.sweep()) == {half, other}
    assert [await state(tiers, one) for one in (half, other)] == ["deleted", "deleted"]
    assert (await streams.find("anna", "source")).state.tail > 0


async def test_a_name_is_not_free_while_a_fork_of_a_fork_lives_however_many_there_are(
    tiers: Tiers, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1,100 names, each forked from the one before, of which only the last has its stream."""
    last = await made(streams, "last")
    ids = [derived_session_id(NOW_MS, "test", str(number)) for number in range(1_101)]
    after = dict(pairwise(ids))

    async def named(name: SessionId) -> StreamName:
        found = StreamName()
        found.session = name
        found.forks = [(after[name], last if after[name] == ids[-1] else after[name])]
        return found

    async def there(sessions: list[SessionId]) -> list[Head]:
        return [Head(Seq(2), 0, "", "live") for _ in sessions]

    monkeypatch.setattr(streams, "_name", named)
    monkeypatch.setattr(streams, "_log", SimpleNamespace(heads=there))
    assert await streams._has_forks(await named(ids[0]))
