"""A reply that never arrives is the worst fault: the deed is done and nobody knows."""

import asyncio
import shutil
from pathlib import Path

import pytest

from pipeline.apps.users import Users
from pipeline.eventlog.event_log import Verdict
from pipeline.eventlog.open_log import open_log
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.eventlog.tailer import Tailer
from schemas.errors import LogLost
from schemas.ids import Seq, new_session_id
from schemas.settings import LogSettings
from schemas.settings.narration_preferences import Preferences
from tests.support.eventlog.faulty_proxy import FaultyProxy
from tests.support.eventlog.log_events import ENDED, STARTED, delta, kill_server

pytestmark = pytest.mark.anyio


async def test_a_lost_reply_never_doubles_an_event(proxy: FaultyProxy) -> None:
    log, session = RedisEventLog(str(proxy.path)), new_session_id()
    async with Recorder(log) as recorder:
        await recorder.post(session, STARTED, mode="create")
        writer = recorder.open(session, producer="owner", epoch=1)
        verdicts = []
        for at in range(20):
            proxy.swallow = at % 2 == 1
            verdicts.append((await writer.commit(delta(at))).verdict)
        proxy.swallow = True
        command = await recorder.post(session, delta(20))
    assert command.verdict is Verdict.DUP
    assert verdicts == [Verdict.OK, Verdict.DUP] * 10
    assert proxy.swallowed == 11
    events = await log.read(session, Seq(1))
    assert [event.data["at"] for event in events] == list(range(21))
    await log.aclose()


async def test_a_lost_reply_never_doubles_a_change_of_preferences(proxy: FaultyProxy) -> None:
    log = RedisEventLog(str(proxy.path))

    def faster(now: Preferences) -> Preferences:
        proxy.swallow = not proxy.swallowed  # the reply to what follows
        return now.model_copy(update={"speech_speed": 1.5})

    async with Recorder(log) as recorder:
        users = Users(log, recorder)
        seq, said = await users.change("anna", faster)
        state = await users.state("anna")
    assert proxy.swallowed == 1
    assert (state.preferences, state.changed) == (said, seq)
    assert len(state.history) == 1
    await log.aclose()


def set_back(home: Path, kept: Path) -> None:
    """The server as it was when `kept` was copied: the failover to a replica that lagged behind."""
    kill_server(home)
    shutil.rmtree(home / "log" / "appendonlydir")
    shutil.copytree(kept, home / "log" / "appendonlydir")


async def test_a_log_that_lost_its_end_is_given_it_back(home: Path, tmp_path: Path) -> None:
    """Acknowledged events vanish; the process that wrote them still has them; no listener notices."""
    log, session = open_log(LogSettings(), home), new_session_id()
    seen: list[int] = []
    async with Recorder(log) as recorder, Tailer(log) as tailer, asyncio.TaskGroup() as tasks:
        await recorder.post(session, STARTED, mode="create")
        writer = recorder.open(session, producer="owner", epoch=1)

        async def listen() -> None:
            async with tailer.follow(session, Seq(0)) as batches:
                async for some in batches:
                    seen.extend(event.seq for event in some)

        listener = tasks.create_task(listen())
        for at in range(10):
            await writer.commit(delta(at))
        kill_server(home)
        shutil.copytree(home / "log" / "appendonlydir", tmp_path / "kept")
        for at in range(10, 20):
            await writer.commit(delta(at), audio=bytes(at))
            await recorder.post(session, delta(100 + at))
        set_back(home, tmp_path / "kept")
        await writer.commit(delta(20))
        await writer.commit(ENDED)
        await listener
    events = await log.read(session, Seq(1), audio=True)
    later = [offset for at in range(10, 20) for offset in (at, 100 + at)]
    assert [event.data["at"] for event in events[:-1]] == [*range(10), *later, 20]
    assert events[18].audio == bytes(14)
    assert seen == list(range(1, len(events) + 2))
    await log.aclose()


async def test_an_event_that_nobody_has_kept_is_reported_lost(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.eventlog.redis.failover.RETAINED_BYTES", 0)
    log, session = open_log(LogSettings(), home), new_session_id()
    async with Recorder(log) as recorder:
        await recorder.post(session, STARTED, mode="create")
        kill_server(home)
        shutil.copytree(home / "log" / "appendonlydir", tmp_path / "kept")
        writer = recorder.open(session, producer="owner", epoch=1)
        await writer.commit(delta(0))
        await writer.commit(delta(1))
        set_back(home, tmp_path / "kept")
        with pytest.raises(LogLost):
            await writer.commit(delta(2))
    await log.aclose()
