"""Answers that begin late: newcomers are turned away, who is inside is answered, then all are welcome."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest

from pipeline.engines.scripted import SpeechScript
from tests.support.clients.native_client import Heard, ask, create, listen_until_over
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = [pytest.mark.anyio, pytest.mark.redis]

PEOPLE = 6
TEXT = "The keeper lit the lamp."


@pytest.fixture
def app(tmp_path: Path) -> Iterator[RunningApp]:
    with running_app(scripted_settings(tmp_path, limits={"admission": {"slowdown": 3}})) as running:
        yield running


@asynccontextmanager
async def slow(app: RunningApp) -> AsyncGenerator[None, None]:
    """The voice takes a second and a half to begin."""
    voice = app.engines["text_to_speech"]
    before = voice._script
    voice._script = SpeechScript(first_chunk_ms=1_500)
    try:
        yield
    finally:
        voice._script = before


async def narrate(app: RunningApp, http: httpx.AsyncClient, session: str) -> str:
    """How one more turn of a session ended."""
    turn = await ask(http, session, text=TEXT)
    heard = await listen_until_over(app.ws_url, session, turn, Heard())
    return heard.types(turn)[-1]


async def test_newcomers_are_turned_away_while_answers_begin_late_and_who_is_inside_is_answered(
    app: RunningApp,
) -> None:
    assert app.services is not None
    limiter = app.services.backpressure.limiter
    ends: list[str] = []
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        inside = [await create(http) for _ in range(PEOPLE)]
        for session in inside:  # one after the other: that is what is usual here
            assert await narrate(app, http, session) == "turn.completed"

        async def stay(session: str) -> None:
            while going_on:
                ends.append(await narrate(app, http, session))

        going_on = True
        async with slow(app), anyio.create_task_group() as people:
            for session in inside:
                people.start_soon(stay, session)
            await eventually(lambda: limiter.crowded != "")
            answers = await asyncio.gather(*(http.post("/v1/sessions", json={}) for _ in range(20)))
            refused = [answer for answer in answers if answer.status_code == 503]
            assert len(refused) >= 15, "some may still come"
            assert {answer.json()["code"] for answer in refused} == {"gateway.busy"}
            assert len({answer.headers["Retry-After"] for answer in refused}) > 1, "not all at the same time"
            with anyio.fail_after(30):
                while (ready := await http.get("/v1/ready")).status_code != 503:
                    pass
            assert ready.json()["status"] == "saturated"
            before = len(ends)
            await eventually(lambda: len(ends) >= before + PEOPLE)
            going_on = False
        assert set(ends) == {"turn.completed"}, "nobody who was inside was turned away"
        await eventually(lambda: limiter.taken == 0)
        assert (await http.post("/v1/sessions", json={})).status_code == 201
        assert (await http.get("/v1/ready")).status_code == 200


async def test_a_new_chat_is_one_newcomer(app: RunningApp) -> None:
    assert app.services is not None
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        answer = await http.post("/sse/of-mine/stream", json={"message": "Where are you?"})
    assert answer.status_code == 200, answer.text
    assert len(app.services.backpressure.limiter._let_in) == 1
