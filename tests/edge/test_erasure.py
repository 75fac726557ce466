"""DELETE /v1/users/{id}: the user's sessions are gone, and the answer proves it."""

import asyncio

import httpx
import pytest

from pipeline.log.tiered import TieredLog
from schemas.commands import CreateSession
from tests.edge.listeners import create
from tests.support import RunningApp

pytestmark = pytest.mark.anyio


async def owned(app: RunningApp, principal: str) -> str:
    """A session of this principal, on the application's own loop."""
    assert app.services is not None
    assert app.loop is not None
    creating = app.services.sessions.create(CreateSession(), principal=principal)
    session, *_ = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(creating, app.loop))
    return session


async def test_a_user_is_erased_with_proof(app: RunningApp, http: httpx.AsyncClient) -> None:
    hers = [await owned(app, "anna") for _ in range(2)]
    others = [await owned(app, "bert"), await create(http)]
    answer = await http.delete("/v1/users/anna")
    proof = answer.json()
    assert answer.status_code == 200
    assert {one["session_id"] for one in proof["sessions"]} == set(hers)
    assert proof["found_after"] == 0
    for session in hers:
        assert (await http.get(f"/v1/sessions/{session}")).status_code == 410
    for session in others:
        assert (await http.get(f"/v1/sessions/{session}")).status_code == 200
    assert app.services is not None
    assert isinstance(app.services.log, TieredLog)
    again = (await http.delete("/v1/users/anna")).json()
    assert (again["sessions"], again["found_after"]) == ([], 0)
