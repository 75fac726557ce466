"""A request for another principal's data costs the server next to nothing."""

import pytest

from pipeline.session_state.session_views import Ownership
from schemas.events import SessionStarted
from schemas.ids import new_session_id
from schemas.settings import SessionSettings
from tests.support.clients.access_people import Belongings, People, client
from tests.support.eventlog.log_events import batch
from tests.support.eventlog.memory_log import MemoryEventLog
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio


async def test_only_threads_have_members() -> None:
    log = MemoryEventLog()
    ownership = Ownership(log)
    found = {}
    for kind in ("session", "thread", "story"):
        session = new_session_id()
        started = SessionStarted(settings=SessionSettings(), kind=kind, principal="anna")
        await log.append([batch(session, 1, started, mode="create")])
        found[kind] = (await ownership.of(session), await ownership.kind(session) == "thread")
    assert found == {"session": ("anna", False), "thread": ("anna", True), "story": ("anna", False)}
    assert await ownership.kind(new_session_id()) == ""


async def test_a_stranger_is_told_that_there_is_no_such_session(
    app: RunningApp, people: People, hers: Belongings
) -> None:
    async with client(app, people.bob) as bob:
        for session in (hers.session, hers.thread):
            answer = await bob.get(f"/v1/sessions/{session}")
            assert (answer.status_code, answer.json()["code"]) == (404, "session.not_found")
