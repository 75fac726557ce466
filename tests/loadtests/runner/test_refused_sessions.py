"""More than the system takes: it refuses, which is no failure, and nobody who was taken is worse off."""

import asyncio
from pathlib import Path

import httpx
import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from loadtests.client import api_connection
from loadtests.client.api_connection import Failed, Refused
from tests.loadtests.scenarios.test_scenarios import result_of
from tests.support.running_app import running_app, scripted_settings

pytestmark = [pytest.mark.anyio]


async def test_the_refused_are_counted_apart_from_failures_with_when_they_were_told_to_come_back(
    tmp_path: Path,
) -> None:
    limits = {"admission": {"waiting_turns": 3}}
    with running_app(scripted_settings(tmp_path, limits=limits)) as app:
        assert app.services is not None
        backpressure = app.services.backpressure
        calls = [backpressure.ask() for _ in range(3)]  # of others, whom no model answers for now
        result = await result_of(app, "--scenario chat --turns 1 --rate 12/s")
        for call in calls:
            backpressure.give_up(call)
        alone = await result_of(app, "--scenario chat --turns 1 --rate 1/s")
    people = result.people
    assert (people.planned, people.refused, people.fine, people.failed) == (12, 12, 0, 0)
    assert people.codes == {"gateway.busy": 12}
    assert people.retry_after_s is not None
    assert people.retry_after_s >= 1
    assert sum(moment.refused for moment in result.timeline) == people.refused
    assert (alone.people.fine, alone.people.refused) == (1, 0)
    assert all(one.kept for one in (*result.requirements, *alone.requirements))


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (503, b'{"code": "gateway.busy"}', Refused, "gateway.busy"),
        (503, b'{"code": "gateway.leaving"}', Refused, "gateway.leaving"),
        (503, b'{"code": "engine.busy"}', Refused, "engine.busy"),
        (429, b'{"code": "limit.turns"}', Refused, "limit.turns"),
        (429, b"slow down", Refused, "http.429"),
        (503, b'{"code": "log.unavailable", "retryable": true}', Failed, "log.unavailable"),
        (503, b'{"code": "engine.dead", "retryable": false}', Failed, "engine.dead"),
        (503, b"no healthy upstream", Failed, "http.503"),
    ],
)
async def test_only_admission_control_refuses_politely_a_broken_part_is_a_failure(
    status: int, body: bytes, kind: type[Refused | Failed], code: str
) -> None:
    answer = httpx.Response(status, headers={"Retry-After": "7"}, content=body)
    handshake = InvalidStatus(Response(status, "No", Headers({"Retry-After": "7"}), body))
    for error in (api_connection._of_answer(answer), api_connection._of_handshake(handshake)):
        assert (type(error), error.code, error.retry_after_s) == (kind, code, 7.0)
        assert error.passing is (code not in ("gateway.busy", "engine.busy", "limit.turns"))


@pytest.mark.parametrize(("code", "outcome"), [("log.unavailable", "failed"), ("gateway.busy", "refused")])
async def test_a_broken_part_is_told_as_a_failure_and_the_run_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, outcome: str
) -> None:
    async def answers(*_: object, **__: object) -> httpx.Response:
        return httpx.Response(503, headers={"Retry-After": "2"}, json={"code": code, "retryable": True})

    with running_app(scripted_settings(tmp_path)) as app:
        monkeypatch.setattr(httpx.AsyncClient, "request", answers)
        monkeypatch.setattr(api_connection.ApiConnection, "greet", lambda _: asyncio.sleep(0))
        result = await result_of(app, "--scenario chat --turns 1 --rate 2/s")
    assert getattr(result.people, outcome) == result.people.planned == 2
    kept = [one.wish for one in result.requirements if not one.kept]
    assert kept == (["failed<=0", "answered>0"] if outcome == "failed" else [])
