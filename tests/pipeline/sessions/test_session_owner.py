"""One owner runs a session's turns: takeovers, ends, and owners that fail."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import pytest
from anyio.streams.memory import MemoryObjectSendStream

from pipeline.admission.allowance import Allowance, Cost
from pipeline.admission.engine_backpressure import EngineBackpressure
from pipeline.core.clock import SystemClock
from pipeline.engines.ports import ChatRequest, Completion, LanguageModel
from pipeline.eventlog.event_log import EventLog, Tail
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.tailer import Tailer
from pipeline.session_state.session_views import SessionViews
from pipeline.sessions.owner_pool import OwnerPool, rest_s
from pipeline.sessions.session_owner import OwnerServices
from pipeline.turn.generation import Engines
from schemas.errors import Fenced, GatewayBusy, LogLost, LogUnavailable
from schemas.events import (
    TERMINAL,
    OwnerChanged,
    PlaybackPaused,
    SessionEndRequested,
    SessionStarted,
    TurnRequested,
    TurnResumed,
    TurnStarted,
    TurnStopRequested,
)
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, TurnId, new_session_id
from schemas.settings import SessionSettings
from schemas.settings.limit_settings import AdmissionSettings, LimitSettings
from schemas.speech_style import KeptReading
from tests.pipeline.turn.test_turn import Voice
from tests.support.clocks import Hours
from tests.support.eventlog.memory_log import MemoryEventLog
from tests.support.eventually import eventually
from tests.support.memory_meter import MemoryMeter

pytestmark = pytest.mark.anyio

QUIET = SessionSettings(speak=False)


class Echo:
    """A language model that says one word."""

    async def stream(self, request: ChatRequest) -> AsyncGenerator[str | Completion, None]:
        yield "Yes."
        yield Completion("stop")

    async def aclose(self) -> None:
        """Nothing to close."""


class Patient(Echo):
    """A language model that answers when it is told to, and says how many have asked at a time."""

    def __init__(self) -> None:
        self.go = anyio.Event()
        self.asking = self.most = 0

    async def stream(self, request: ChatRequest) -> AsyncGenerator[str | Completion, None]:
        self.asking += 1
        self.most = max(self.most, self.asking)
        await self.go.wait()
        self.asking -= 1
        yield "Yes."
        yield Completion("stop")


class AwayOnce(MemoryEventLog):
    """A log that does not answer the first owner, and in which no lease ends by itself."""

    def __init__(self, *, acquires: bool) -> None:
        """`acquires`: the first owner has the lease all the same, and its answer is lost."""
        super().__init__(clock_s=lambda: 0.0)
        self.refused = False
        self._acquires = acquires

    async def acquire_tail(self, session: SessionId, owner: str, ttl_ms: int, after: Seq) -> Tail | None:
        if self.refused:
            return await super().acquire_tail(session, owner, ttl_ms, after)
        self.refused = True
        if self._acquires:
            await super().acquire_tail(session, owner, ttl_ms, after)
        raise LogUnavailable("away")


class NeverReleased(MemoryEventLog):
    """A log that is out of reach when a lease is given back."""

    async def release(self, session: SessionId, owner: str) -> None:
        raise LogUnavailable("away")


@asynccontextmanager
async def gateway(
    log: EventLog,
    recorder: Recorder,
    name: str = "node",
    *,
    model: LanguageModel | None = None,
    limits: LimitSettings | None = None,
    **beside: Any,
) -> AsyncGenerator[OwnerPool, None]:
    models, limits = Engines(model or Echo(), Voice()), limits or LimitSettings()
    async with Tailer(log) as tailer:
        services = OwnerServices(log, recorder, tailer, models, SystemClock(), limits, **beside)
        async with OwnerPool(node=name, services=services) as owners:
            yield owners


class DebtMeter(MemoryMeter):
    """Tells what is owed."""

    def __init__(self, owed: MemoryObjectSendStream[Cost]) -> None:
        super().__init__()
        self._owed = owed

    async def owe(self, who: str, cost: Cost) -> None:
        await self._owed.send(cost)


async def until_over(log: EventLog, session: SessionId, kind: str, count: int = 1) -> list[Recorded]:
    """All events, once `count` of this type are among them."""
    async with Tailer(log) as tailer, tailer.follow(session, Seq(0)) as batches:
        events: list[Recorded] = []
        with anyio.fail_after(8):
            async for batch in batches:
                events += batch
                if sum(event.type == kind for event in events) >= count:
                    return events
    return events


def request(text: str = "Well?") -> TurnRequested:
    return TurnRequested(kind="prompt", text=text, settings=QUIET)


async def test_an_abandoned_turn_gets_one_end_and_the_next_turn_runs() -> None:
    log, session = MemoryEventLog(), new_session_id()
    async with Recorder(log) as recorder:
        await recorder.post(session, SessionStarted(settings=QUIET), mode="create")
        first = TurnId((await recorder.post(session, request())).first)
        await recorder.open(session, producer="gone", epoch=1).commit(TurnStarted(epoch=1), turn=first)
        await recorder.post(session, TurnStopRequested(), turn=first)
        second = TurnId((await recorder.post(session, request())).first)
        async with gateway(log, recorder) as owners:
            owners.wake(session, Seq(second))
            events = await until_over(log, session, "turn.completed")
    ends = [(event.turn, event.type) for event in events if event.type in TERMINAL]
    assert ends == [(first, "turn.stopped"), (second, "turn.completed")]


async def test_a_turn_that_outlives_every_owner_is_given_up() -> None:
    log, session = MemoryEventLog(), new_session_id()
    async with Recorder(log) as recorder:
        await recorder.post(session, SessionStarted(settings=QUIET), mode="create")
        turn = TurnId((await recorder.post(session, request())).first)
        for epoch in range(1, 7):
            begun = TurnStarted(epoch=1) if epoch == 1 else TurnResumed(epoch=epoch, chars=0, sentences=0)
            await recorder.open(session, producer=f"gone{epoch}", epoch=epoch).commit(begun, turn=turn)
        async with gateway(log, recorder):
            events = await until_over(log, session, "turn.failed")
    assert events[-1].data["code"] == "owner.lost"


async def test_work_that_nobody_was_told_of_is_found() -> None:
    log, session = MemoryEventLog(), new_session_id()
    async with Recorder(log) as recorder, gateway(log, recorder):
        await recorder.post(session, SessionStarted(settings=QUIET), mode="create")
        await recorder.post(session, request())
        await until_over(log, session, "turn.completed")


async def test_a_gateway_takes_up_no_more_than_it_may_run() -> None:
    log, model = MemoryEventLog(), Patient()
    sessions = [new_session_id() for _ in range(6)]
    async with Recorder(log) as recorder:
        for session in sessions:
            await recorder.post(session, SessionStarted(settings=QUIET), mode="create")
            await recorder.post(session, request())
        async with gateway(log, recorder, model=model, limits=LimitSettings(live_sessions=2)):
            await eventually(lambda: model.asking == 2)
            model.go.set()
            for session in sessions:
                await until_over(log, session, "turn.completed")
    assert model.most == 2


async def test_a_session_that_was_asked_to_end_before_it_had_an_owner_ends() -> None:
    log, session = MemoryEventLog(), new_session_id()
    async with Recorder(log) as recorder:
        await recorder.post(session, SessionStarted(settings=QUIET), mode="create")
        await recorder.post(session, request())
        outcome = await recorder.post(session, SessionEndRequested(reason="deleted"))
        async with gateway(log, recorder) as owners:
            owners.wake(session, outcome.last)
            events = await until_over(log, session, "session.ended")
    assert [event.type for event in events][-2:] == ["turn.stopped", "session.ended"]


@pytest.mark.parametrize("log", [MemoryEventLog(), NeverReleased()])
async def test_an_owner_that_goes_leaves_no_producer_behind(log: MemoryEventLog) -> None:
    session = new_session_id()
    async with Recorder(log) as recorder:
        await recorder.post(session, SessionStarted(settings=QUIET), mode="create")
        outcome = await recorder.post(session, SessionEndRequested(reason="deleted"))
        async with gateway(log, recorder) as owners:
            owners.wake(session, outcome.last)
            await until_over(log, session, "session.ended")
            await eventually(lambda: not recorder.producers(session))


@pytest.mark.parametrize("acquires", [False, True], ids=["out of reach", "its answer is lost"])
async def test_an_owner_that_the_log_did_not_answer_is_followed_by_another(acquires: bool) -> None:
    log, session = AwayOnce(acquires=acquires), new_session_id()
    async with Recorder(log) as recorder:
        await recorder.post(session, SessionStarted(settings=QUIET), mode="create")
        outcome = await recorder.post(session, request())
        async with gateway(log, recorder) as owners:
            owners.wake(session, outcome.last)
            events = await until_over(log, session, "turn.completed")
    assert log.refused
    assert [event.type for event in events].count("turn.completed") == 1


async def test_of_two_gateways_one_runs_each_turn() -> None:
    log, session = MemoryEventLog(), new_session_id()
    async with Recorder(log) as one, Recorder(log) as two:
        await one.post(session, SessionStarted(settings=QUIET), mode="create")
        async with gateway(log, one, "one") as left, gateway(log, two, "two") as right:
            for owners, recorder in ((left, one), (right, two), (left, one)):
                outcome = await recorder.post(session, request())
                owners.wake(session, outcome.last)
            events = await until_over(log, session, "turn.completed", 3)
    ends = [event.turn for event in events if event.type in TERMINAL]
    assert len(ends) == len(set(ends)) == 3


@pytest.mark.parametrize("when", ["its turn runs", "its owner waits for work"])
async def test_no_owner_comes_back_to_a_session_that_is_deleted_under_it(
    when: str, caplog: pytest.LogCaptureFixture
) -> None:
    log, session, model = MemoryEventLog(), new_session_id(), Patient()
    async with Recorder(log) as recorder, gateway(log, recorder, model=model) as owners:
        await recorder.post(session, SessionStarted(settings=QUIET), mode="create")
        owners.wake(session, (await recorder.post(session, request())).last)
        await eventually(lambda: model.asking == 1)
        if when == "its owner waits for work":
            model.go.set()
            await until_over(log, session, "turn.completed")
        await log.delete(session)
        model.go.set()
        await eventually(lambda: not owners.owned)
        assert owners.setbacks(session) == 0
        assert await log.acquire(session, "somebody else", 1_000)
    assert [record.getMessage() for record in caplog.records if record.levelname != "INFO"] == []


class Damaged(MemoryEventLog):
    """A log in which one session's events cannot be read."""

    async def tail(self, session: SessionId, after: Seq) -> Tail:
        return Tail((await self.heads([session]))[0], ())

    async def read(
        self, session: SessionId, after: Seq, *, limit: int = 500, audio: bool = False
    ) -> list[Recorded]:
        raise LogLost("its events are nowhere")


async def test_a_session_that_nobody_can_run_is_tried_less_and_less_often() -> None:
    log, session = Damaged(), new_session_id()
    async with Recorder(log) as recorder:
        await recorder.post(session, SessionStarted(settings=QUIET), mode="create")
        outcome = await recorder.post(session, request())
        async with gateway(log, recorder) as owners:
            owners.wake(session, outcome.last)
            await eventually(lambda: owners.setbacks(session) == 2)
    rests = [rest_s(failures) for failures in range(20)]
    assert rests == sorted(rests)
    assert (rests[0], rests[-1]) == (0.25, 30.0)


async def test_an_owner_that_comes_back_to_a_session_fences_the_one_before_at_once() -> None:
    """Also where there is nothing to do yet: a frozen owner could wake up and begin the next turn."""
    log, session = MemoryEventLog(), new_session_id()
    async with Recorder(log) as recorder:
        await recorder.post(session, SessionStarted(settings=QUIET), mode="create")
        paused = await recorder.post(session, PlaybackPaused())
        frozen = recorder.open(session, producer="frozen", epoch=1)
        await frozen.commit(OwnerChanged(epoch=1, node="frozen"))
        async with gateway(log, recorder) as owners:
            owners.wake(session, paused.last)
            await until_over(log, session, "owner.changed", 2)
            with pytest.raises(Fenced):
                await frozen.commit(TurnStarted(epoch=1), turn=TurnId(9))


async def test_a_principal_without_turns_is_let_in_beside_those_that_have_several() -> None:
    log, clock, model = MemoryEventLog(), Hours(), Patient()
    crowded = EngineBackpressure(AdmissionSettings(waiting_turns=1), clock)
    crowded.ask()
    async with Recorder(log) as recorder, gateway(log, recorder, model=model, backpressure=crowded) as owners:

        async def ask(principal: str) -> SessionId:
            session = new_session_id()
            await recorder.post(session, SessionStarted(settings=QUIET, principal=principal), mode="create")
            asked = await recorder.post(session, request())
            owners.wake(session, asked.last)
            return session

        def let_in(principal: str) -> bool:
            with suppress(GatewayBusy):
                owners.admit(principal)
                return True
            return False

        sessions = [await ask("eve")]
        await eventually(lambda: model.asking == 1)
        assert not let_in("bob"), "nobody has several"
        sessions.append(await ask("eve"))
        await eventually(lambda: model.asking == 2)
        assert [let_in(name) for name in ("bob", "eve", "")] == [True, False, False]
        assert not let_in("bob"), "his turn is about to begin"
        assert let_in("carl")
        sessions.append(await ask("bob"))
        await eventually(lambda: model.asking == 3)
        assert not let_in("bob"), "he has one"
        model.go.set()
        for session in sessions:
            await until_over(log, session, "turn.completed")


@pytest.mark.parametrize(
    ("principal", "text", "kept"),
    [("anna", "The lamp. The fox.", True), ("ben", "The lamp. The fox.", False), ("anna", "A gull.", False)],
)
async def test_the_sound_of_an_earlier_reading_is_that_of_the_same_user_and_text(
    principal: str, text: str, *, kept: bool
) -> None:
    log, first, second = MemoryEventLog(), new_session_id(), new_session_id()
    send, owed = anyio.create_memory_object_stream[Cost](8)
    allowance = Allowance(DebtMeter(send), LimitSettings())
    settings = SessionSettings(speak=True)
    wish = TurnRequested(kind="text", text="The lamp. The fox.", settings=settings)
    keeps = KeptReading(session=first, turn=2)
    async with (
        Recorder(log) as recorder,
        gateway(log, recorder, views=SessionViews(log), allowance=allowance) as owners,
    ):
        for session, who, asked in (
            (first, "anna", wish),
            (second, principal, wish.model_copy(update={"text": text, "keeps": keeps})),
        ):
            await recorder.post(session, SessionStarted(settings=settings, principal=who), mode="create")
            await recorder.post(session, asked)
            owners.wake(session, Seq(2))
            events = await until_over(log, session, "turn.completed")
            with anyio.fail_after(8):
                cost = await owed.receive()
    is_owed = cost.bucket, cost.amount > 0
    assert is_owed == ("bytes" if kept else "audio", True), "sound that is kept is in the log once more"
    made = [one.data["made_ms"] for one in events if one.type == "sentence.completed"]
    assert made
    assert [ms is None for ms in made] == [kept] * len(made)
