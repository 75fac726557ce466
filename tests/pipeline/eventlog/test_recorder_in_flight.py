"""The recorder while a round trip is under way, and while the log is away."""

import anyio
import pytest

from pipeline.eventlog.event_log import Verdict
from pipeline.eventlog.producer_queue import BATCH_EVENTS
from pipeline.eventlog.recorder import HIGH_WATER, Recorder, SessionWriter
from pipeline.eventlog.redis import group_committer
from schemas.errors import LogUnavailable, SessionNotFound
from schemas.ids import SessionId, new_session_id
from tests.support.eventlog.faulty_logs import AwayLog, GatedLog
from tests.support.eventlog.log_events import STARTED, delta, offsets, until

pytestmark = pytest.mark.anyio


class TestTogether:
    """Calls during a round trip wait for the next one."""

    @pytest.fixture
    def log(self) -> GatedLog:
        return GatedLog()

    async def test_a_lone_event_leaves_at_once_and_the_rest_as_one_group(
        self, log: GatedLog, recorder: Recorder, session: SessionId
    ) -> None:
        other = new_session_id()
        await recorder.post(other, STARTED, mode="create")
        writers = [recorder.open(s, producer="owner", epoch=1) for s in (session, other)]
        log.sent.clear()
        log.shut()
        await writers[0].record(delta(0))
        await until(lambda: len(log.sent) == 1)
        for at in range(1, 4):
            for writer in writers:
                await writer.record(delta(at))
        log.gate.set()
        for writer in writers:
            await writer.drain()
        assert [[len(batch.events) for batch in group] for group in log.sent] == [[1], [3, 3]]

    async def test_lingering_events_leave_together_in_the_end(
        self, log: GatedLog, recorder: Recorder, session: SessionId
    ) -> None:
        writer = recorder.open(session, producer="owner", epoch=1)
        log.sent.clear()
        for at in range(4):
            await writer.record(delta(at), lingers=True)
        await until(lambda: writer.queue.empty)
        assert [[len(batch.events) for batch in group] for group in log.sent] == [[4]]

    @pytest.mark.parametrize("how", ["record", "commit", "drain"])
    async def test_an_urgent_event_takes_along_those_that_linger(
        self, log: GatedLog, recorder: Recorder, session: SessionId, how: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(group_committer, "LINGER_S", 3_600.0)
        writer = recorder.open(session, producer="owner", epoch=1)
        log.sent.clear()
        await writer.record(delta(0), lingers=True)
        await writer.record(delta(1), lingers=True)
        await anyio.wait_all_tasks_blocked()
        assert log.sent == []
        events = [] if how == "drain" else [delta(2)]
        await getattr(writer, how)(*events)
        await until(lambda: writer.queue.empty)
        assert [len(batch.events) for group in log.sent for batch in group] == [2 + len(events)]

    async def test_a_full_batch_does_not_linger(
        self, log: GatedLog, recorder: Recorder, session: SessionId, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(group_committer, "LINGER_S", 3_600.0)
        writer = recorder.open(session, producer="owner", epoch=1)
        log.sent.clear()
        for at in range(BATCH_EVENTS):
            await writer.record(delta(at), lingers=True)
        await until(lambda: writer.queue.empty)
        assert [[len(batch.events) for batch in group] for group in log.sent] == [[BATCH_EVENTS]]

    async def test_an_event_that_came_during_a_round_trip_lingers_after_it(
        self, log: GatedLog, recorder: Recorder, session: SessionId, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(group_committer, "LINGER_S", 3_600.0)
        writer = recorder.open(session, producer="owner", epoch=1)
        log.sent.clear()
        log.shut()
        await writer.record(delta(0))
        await until(lambda: len(log.sent) == 1)
        await writer.record(delta(1), lingers=True)
        log.gate.set()
        await until(lambda: writer.queue.number == 1)
        await writer.record(delta(2), lingers=True)
        await writer.drain()
        assert [[len(batch.events) for batch in group] for group in log.sent] == [[1], [2]]
        assert await offsets(log, session) == [0, 1, 2]

    async def test_one_bad_command_does_not_hurt_the_others(
        self, log: GatedLog, recorder: Recorder, session: SessionId
    ) -> None:
        writer = recorder.open(session, producer="owner", epoch=1)
        log.shut()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._expect_not_found, recorder)
            await writer.record(delta(0))
            await until(lambda: len(log.sent) == 2)
            log.gate.set()
        await writer.drain()
        assert await offsets(log, session) == [0]

    async def _expect_not_found(self, recorder: Recorder) -> None:
        with pytest.raises(SessionNotFound):
            await recorder.post(new_session_id(), delta(0))

    async def test_a_full_buffer_makes_its_own_writer_wait(
        self, log: GatedLog, recorder: Recorder, session: SessionId
    ) -> None:
        writer = recorder.open(session, producer="owner", epoch=1)
        log.shut()
        recorded: list[int] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._flood, writer, recorded)
            await until(lambda: writer.queue.weight > HIGH_WATER)
            stuck_at = len(recorded)
            assert stuck_at < 40
            log.gate.set()
        await writer.drain()
        assert await offsets(log, session) == list(range(40))

    async def _flood(self, writer: SessionWriter, recorded: list[int]) -> None:
        for at in range(40):
            await writer.record(delta(at), audio=bytes(HIGH_WATER // 20))
            recorded.append(at)


class TestAway:
    """While the log cannot be reached."""

    @pytest.fixture
    def log(self) -> AwayLog:
        return AwayLog()

    @pytest.mark.parametrize("silent", [False, True])
    async def test_a_recorded_event_waits_and_is_in_the_log_once(
        self, log: AwayLog, recorder: Recorder, session: SessionId, silent: bool
    ) -> None:
        writer = recorder.open(session, producer="owner", epoch=1)
        log.away, log.silent = True, silent
        for at in range(3):
            await writer.record(delta(at))
        tries = log.tries
        await until(lambda: log.tries > tries + 2)
        log.away = False
        await writer.drain()
        assert await offsets(log, session) == [0, 1, 2]

    async def test_a_command_fails_and_its_key_makes_trying_again_safe(
        self, log: AwayLog, recorder: Recorder, session: SessionId
    ) -> None:
        log.away = log.silent = True
        with pytest.raises(LogUnavailable):
            await recorder.post(session, delta(0), key="k")
        log.away = False
        assert (await recorder.post(session, delta(0), key="k")).verdict is Verdict.DUP
        assert await offsets(log, session) == [0]
