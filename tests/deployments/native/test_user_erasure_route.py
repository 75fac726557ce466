"""DELETE /v1/users/{id}: the user's sessions are gone, and the answer proves it."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
import pytest

from deployments.faces.native import transfer_routes
from pipeline.eventlog.redis import group_committer
from pipeline.eventlog.tiered_log import TieredLog
from schemas.ids import SessionId
from schemas.native.client_commands import CreateSession
from tests.support.clients.native_client import create, frames, open_stream
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio
T = TypeVar("T")


async def on_loop(app: RunningApp, doing: Coroutine[Any, Any, T]) -> T:
    """Done where the application does it."""
    assert app.loop is not None
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(doing, app.loop))


async def owned(app: RunningApp, principal: str) -> str:
    """A session of this principal."""
    assert app.services is not None
    session, *_ = await on_loop(app, app.services.sessions.create(CreateSession(), principal=principal))
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
    assert (proof["log_rewritten"], proof["log_servers"], proof["log_servers_rewritten"]) == (True, 1, 1)
    again = (await http.delete("/v1/users/anna")).json()
    assert (again["sessions"], again["found_after"]) == ([], 0)


async def test_one_user_is_erased_at_a_time_and_each_time_counts(
    app: RunningApp, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of the log is looked through for each, whoever asks and however often."""
    assert app.services is not None
    charged: list[str] = []

    async def session(principal: str) -> None:
        charged.append(principal)

    monkeypatch.setattr(app.services.allowance, "session", session)
    monkeypatch.setattr(transfer_routes, "_WAIT_S", 0.2)
    async with app.services.erasing.place("somebody else"):
        answer = await http.delete("/v1/users/anna")
        assert (answer.status_code, answer.json()["code"]) == (503, "gateway.busy")
        assert int(answer.headers["Retry-After"]) > 0
    assert (await http.delete("/v1/users/anna")).status_code == 200
    assert charged == ["", ""]


@contextmanager
def without_replicas(app: RunningApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One is wanted."""
    assert app.services is not None
    assert isinstance(app.services.log, TieredLog)
    with monkeypatch.context() as patch:
        patch.setattr(app.services.log.hot, "_replicas", 1)
        patch.setattr(app.services.log.hot, "_patience_s", 0.1)
        patch.setattr(group_committer, "UNSURE_S", 0.1)
        yield


async def test_a_deletion_that_may_be_undone_is_not_said_to_be_done(
    app: RunningApp, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = SessionId(await create(http))
    assert app.services is not None
    async with open_stream(app.ws_url, session) as socket:
        await on_loop(app, app.services.sessions.finish(session))
        said = [event["type"] async for event, _ in frames(socket)]
    assert said[-1] == "end"
    with without_replicas(app, monkeypatch):
        for _ in range(2):
            answer = await http.delete(f"/v1/sessions/{session}")
            assert (answer.status_code, answer.json()["code"]) == (503, "log.unavailable")
            assert answer.headers["retry-after"]
            assert answer.json()["retryable"]
    answer = await http.delete(f"/v1/sessions/{session}")
    assert (answer.status_code, answer.json()["code"]) == (410, "session.gone")


async def test_a_session_that_cannot_be_ended_for_want_of_replicas_is_deleted_and_forgotten(
    app: RunningApp, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = SessionId(await create(http))
    assert app.services is not None
    with without_replicas(app, monkeypatch):
        assert (await http.delete(f"/v1/sessions/{session}")).status_code == 503
        assert session not in app.services.sessions._views._views
    assert (await http.delete(f"/v1/sessions/{session}")).status_code == 410


async def test_a_story_is_not_gone_before_its_narrations_are_for_good(
    app: RunningApp, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = (await http.post("/api/stories", json={})).json()["id"]
    scene = (await http.post(f"/api/stories/{story}/scenes", json={"content": "A short scene."})).json()["id"]
    narration = (await http.post(f"/api/tts/generate/{scene}", json={})).json()["session_id"]
    with without_replicas(app, monkeypatch):
        for _ in range(2):
            assert (await http.delete(f"/api/stories/{story}")).status_code == 503
            assert (await http.get(f"/v1/sessions/{narration}")).status_code == 410
    assert (await http.get(f"/api/stories/{story}")).status_code == 200
    assert (await http.delete(f"/api/stories/{story}")).status_code == 204
