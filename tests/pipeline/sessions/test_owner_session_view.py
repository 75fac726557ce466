"""Owners begin with what their gateway knows of a session, as far as the log has it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
import pytest

from pipeline.engines.ports import ChatRequest, Completion
from pipeline.eventlog.recorder import Recorder
from pipeline.session_state.session_views import SessionViews
from schemas.events import SessionStarted
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, new_session_id
from tests.pipeline.sessions.test_session_owner import QUIET, Echo, gateway, request, until_over
from tests.support.eventlog.memory_log import MemoryEventLog

pytestmark = pytest.mark.anyio


class ReadFrom(MemoryEventLog):
    """A log that notes after which events it was read."""

    def __init__(self) -> None:
        super().__init__()
        self.read_after: list[int] = []

    async def read(
        self, session: SessionId, after: Seq, *, limit: int = 500, audio: bool = False
    ) -> list[Recorded]:
        self.read_after.append(after)
        return await super().read(session, after, limit=limit, audio=audio)


class Attentive(Echo):
    """A language model that notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def stream(self, request: ChatRequest) -> AsyncGenerator[str | Completion, None]:
        self.asked.append(request.messages[-1].content)
        async with aclosing(super().stream(request)) as items:
            async for item in items:
                yield item


async def test_an_owner_takes_along_what_its_gateway_knows_of_the_session() -> None:
    log, session = ReadFrom(), new_session_id()
    views = SessionViews(log)
    async with Recorder(log) as recorder:
        await recorder.post(session, SessionStarted(settings=QUIET), mode="create")
        await recorder.post(session, request("One?"))
        async with gateway(log, recorder):
            await until_over(log, session, "turn.completed")
        await views.get(session)
        log.read_after.clear()
        asked = (await recorder.post(session, request("Two?"))).last
        async with gateway(log, recorder, "next", views=views) as owners:
            owners.wake(session, asked)
            with anyio.fail_after(8):
                while (await views.get(session))[0].unfinished:
                    await log.heads([session])
        answers = [turn.answer for turn in (await views.get(session))[0].turns.values()]
    assert answers == ["Yes.", "Yes."]
    assert min(log.read_after) > 1


async def test_events_beyond_the_end_of_the_log_are_not_taken_along() -> None:
    log, behind, session, model = MemoryEventLog(), MemoryEventLog(), new_session_id(), Attentive()
    async with Recorder(log) as recorder, Recorder(behind) as rest:
        for each in (recorder, rest):
            await each.post(session, SessionStarted(settings=QUIET), mode="create")
        for lost in ("Lost?", "Lost, too?"):
            await recorder.post(session, request(lost))
        views = SessionViews(log)
        await views.get(session)
        async with gateway(behind, rest, model=model, views=views) as owners:
            owners.wake(session, (await rest.post(session, request("Kept?"))).last)
            await until_over(behind, session, "turn.completed")
    assert model.asked == ["Kept?"]
