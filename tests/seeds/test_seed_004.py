"""Seed 004: two ways from sound to text, side by side, chosen per session."""

from typing import Any

import httpx
import pytest

from tests.support.clients.logged_utterances import of
from tests.support.clients.native_speaker import austen, calling, events_of, new_session, silence
from tests.support.running_app import RunningApp, app_fixture

pytestmark = pytest.mark.anyio
SPEECH = silence(300) + austen() + silence(1_200)
app = app_fixture(llm={"reply": "Yes."}, stt={"texts": ["One or the other."], "per_request_ms": 5})


async def said(app: RunningApp, **listening: Any) -> list[dict[str, Any]]:
    session = await new_session(app, reply=False, **listening)
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(SPEECH)
        await caller.event("transcript.final")
        assert (await caller.answered(type="input.close"))["type"] == "accepted"
    return await events_of(app, session)


@pytest.mark.parametrize(("mode", "engine"), [("realtime", "scripted"), ("quality", "scripted quality")])
async def test_the_way_is_chosen_per_session(app: RunningApp, mode: str, engine: str) -> None:
    [final] = of(await said(app, mode=mode), "transcript.final")
    assert (final["mode"], final["engine"]) == (mode, engine)


async def test_only_the_realtime_way_says_what_it_has_understood_so_far(app: RunningApp) -> None:
    assert of(await said(app, mode="realtime"), "transcript.partial")
    assert of(await said(app, mode="quality"), "transcript.partial") == []


async def test_the_way_may_change_from_one_utterance_to_the_next(app: RunningApp) -> None:
    session = await new_session(app, reply=False)
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(SPEECH)
        await caller.event("transcript.final")
        async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
            change = {"settings": {"listening": {"mode": "quality"}}}
            assert (await http.patch(f"/v1/sessions/{session}", json=change)).status_code == 200
        for count in (2, 3):
            await caller.speak(SPEECH)
            await caller.event("transcript.final", count=count)
    modes = [final["mode"] for final in of(await events_of(app, session), "transcript.final")]
    assert modes[0] == "realtime"
    assert modes[-1] == "quality"


@pytest.mark.parametrize("mode", ["realtime", "quality"])
async def test_both_ways_may_write_the_same_utterance_down(app: RunningApp, mode: str) -> None:
    [compared] = of(await said(app, mode=mode, compare=True), "transcript.compared")
    assert [way["mode"] for way in compared["ways"]] == [
        mode,
        "quality" if mode == "realtime" else "realtime",
    ]
    assert compared["words"] == 4
    assert compared["differences"] == []
    assert all(way["after_ms"] >= 0 and way["engine"] for way in compared["ways"])


async def test_a_client_that_lets_people_choose_finds_the_ways_described(app: RunningApp) -> None:
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        answer = await http.get("/v1/listening/modes")
        health = (await http.get("/v1/health")).json()
    assert answer.status_code == 200
    found = answer.json()
    assert found["default"] == "realtime"
    assert [mode["mode"] for mode in found["modes"]] == ["realtime", "quality", "legacy"]
    for mode in found["modes"]:
        assert all(mode[what] for what in ("description", "latency", "quality", "engine"))
    assert health["status"] == "ok"
