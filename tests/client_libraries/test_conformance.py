"""One list of cases that every client library passes: answers, events, forks, refusals, microphones."""

import random
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from rhapsode import AsyncRhapsode
from tests.client_libraries.conftest import STORY
from tests.client_libraries.libraries import NODE, JavaScript, Library, Python
from tests.support.clients.native_speaker import austen, silence
from tests.support.cutting_relay import cutting_relay
from tests.support.running_app import RunningApp

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize(
        "library",
        [
            pytest.param(Python(), id="python"),
            pytest.param(
                JavaScript(),
                id="javascript",
                marks=pytest.mark.skipif(NODE is None, reason="node is not installed"),
            ),
        ],
    ),
]
_NO_SOUND = sha256(b"").hexdigest()
_ABSENT = "0199a2b4-6c1e-7d1a-8f00-5b7a3c2d1e0f"


async def told(app: RunningApp) -> tuple[str, int]:
    """A session with one answer that was spoken."""
    async with AsyncRhapsode(app.url) as client:
        session = await client.create()
        turn = await session.ask("x")
        await turn.text()
        return session.id, turn.number


async def test_a_prompt_is_answered_in_deltas(app: RunningApp, library: Library) -> None:
    answer = await library.run("answers", app.url)
    assert "".join(answer["deltas"]) == STORY
    assert len(answer["deltas"]) > 3
    assert (answer["title"], answer["again"]) == ("A story", STORY)
    assert answer["brief"] == "The keeper lit the lamp. "


@pytest.mark.parametrize("seed", range(4))
async def test_connections_that_break_at_any_byte_lose_and_double_no_event(
    app: RunningApp, library: Library, seed: int
) -> None:
    session, turn = await told(app)
    wish: dict[str, Any] = {"session": session, "after": 0, "turn": turn, "audio": "pcm16"}
    after = random.Random(seed).randrange(300, 4_000)
    async with cutting_relay(app.url, after_bytes=after, cuts=4) as (url, broken):
        events = await library.run("events", url, **wish)
    assert broken
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "turn.completed"
    assert all((event["audio"] != _NO_SOUND) == (event["type"] == "audio.chunk") for event in events)
    assert await Python().run("events", app.url, **wish) == events


async def test_events_go_on_after_a_place_and_a_fork_has_the_past(app: RunningApp, library: Library) -> None:
    session, _ = await told(app)
    whole = await library.run("events", app.url, session=session, after=0, follow=False)
    rest = await library.run("events", app.url, session=session, after=3, follow=False, speed=0)
    assert rest == whole[3:]
    assert await library.run("events", app.url, session=session, after="head", follow=False) == []
    fork = await library.run("fork", app.url, session=session, at=2)
    assert [event["type"] for event in fork["events"][:2]] == [event["type"] for event in whole[:2]]
    assert fork["gone"]["status"] in (404, 410)


async def test_commands_and_settings_are_carried_out(app: RunningApp, library: Library) -> None:
    answer = await library.run("commands", app.url)
    assert answer["spoken"] == "Good morning to all of you."
    assert answer["bytes"] > 1_000
    assert answer["settings"]["speech_speed"] == 1.25
    assert answer["stop"] is None or answer["stop"]["code"] == "turn.none_running"


async def test_a_refusal_names_its_code_and_field(app: RunningApp, library: Library) -> None:
    refused = await library.run("refusals", app.url, absent=_ABSENT)
    assert (refused["settings"]["status"], refused["settings"]["field"]) == (422, "settings.speech_speed")
    assert refused["settings"]["retryable"] is False
    assert refused["session"]["code"] == refused["change"]["code"] == "session.not_found"
    assert refused["change"]["status"] == 404


async def test_a_refusal_is_tried_again_when_the_server_says_and_not_where_that_is_too_late(
    strict: tuple[RunningApp, list[str]], library: Library
) -> None:
    app, keys = strict
    key = keys.pop()
    async with httpx.AsyncClient(base_url=app.url, headers={"Authorization": f"Bearer {key}"}) as http:
        session = (await http.post("/v1/sessions", json={})).json()["session_id"]
        used = {"text": "a" * 5_900, "settings": {"speak": False}}
        assert (await http.post(f"/v1/sessions/{session}/turns", json=used)).status_code == 202
    told = await library.run("patience", app.url, key, later="b" * 300, much_later="c" * 5_000)
    assert told["text"] == STORY
    refused = told["much_later"]
    assert (refused["code"], refused["status"], refused["retryable"]) == ("limit.characters", 429, True)
    assert 30 < refused["retry_after_s"] < 60


@pytest.mark.parametrize("cuts", [0, 3])
async def test_a_microphone_is_transcribed_and_answered_also_when_connections_break(
    app: RunningApp, library: Library, cuts: int, tmp_path: Path
) -> None:
    speech = tmp_path / "speech.pcm"
    speech.write_bytes(austen() + silence(1_000))
    async with cutting_relay(app.url, after_bytes=900, cuts=cuts) as (url, broken):
        events = await library.run("listen", url, file=str(speech), bytes=3_199)
    types = [event["type"] for event in events]
    heard = [event["data"] for event in events if event["type"] == "input.audio"]
    assert len(broken) == cuts
    assert types[-1] == "input.closed"
    assert "transcript.final" in types
    assert abs(max(one["at_ms"] + one["ms"] for one in heard) - speech.stat().st_size // 32) < 100


async def test_speech_over_an_answer_interrupts_it(app: RunningApp, library: Library, tmp_path: Path) -> None:
    speech = tmp_path / "speech.pcm"
    speech.write_bytes(austen()[: 32 * 2_000] + silence(1_000))
    told = await library.run("interrupt", app.url, file=str(speech), bytes=3_200)
    [flushed] = [event for event in told["events"] if event["type"] == "playback.flushed"]
    assert (flushed["turn"], flushed["data"]["reason"]) == (told["turn"], "barge_in")


async def test_a_function_of_the_server_is_told_to_all_listeners(app: RunningApp, library: Library) -> None:
    async with AsyncRhapsode(app.url) as client:
        session = await client.create(speak=False, tools={"registered": ["tides"]})
        turn = await session.ask("Look at the tides.")
    heard: list[Any] = []

    async def listen() -> None:
        heard.append(await library.run("events", app.url, session=session.id, after=0, turn=turn.number))

    async with anyio.create_task_group() as listeners:
        listeners.start_soon(listen)
        listeners.start_soon(listen)
    assert heard[0] == heard[1]
    [completed] = [event for event in heard[0] if event["type"] == "tool.completed"]
    assert completed["data"]["output"] == "Oslo: 04:12 and 16:40"
