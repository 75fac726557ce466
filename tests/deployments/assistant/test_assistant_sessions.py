"""The voice assistant's two faces: which session they speak in, who comes back to it, and who leaves."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.asyncio.client import connect

from schemas.errors import GatewayBusy
from schemas.native.client_commands import CreateSession
from tests.support.clients.assistant_client import LIMIT_S, Message, assistant, mp3_ms, until
from tests.support.clients.logged_utterances import of
from tests.support.clients.native_speaker import austen, calling, events_of, new_session, silence
from tests.support.fixtures.listening_fixtures import ANSWER
from tests.support.running_app import RunningApp
from tests.support.speech.hesitating_speech_to_text import Hesitating
from tests.support.speech.sound_files import wav

pytestmark = pytest.mark.anyio
SPEECH = silence(300) + austen() + silence(900)
UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"


async def in_app(app: RunningApp, work: Callable[[], Awaitable[Any]]) -> Any:
    """Run in the application's own thread."""

    async def run() -> Any:
        return await work()

    assert app.loop is not None
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(run(), app.loop))


async def at_once(app: RunningApp, body: bytes, **query: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=app.url, timeout=LIMIT_S) as http:
        return await http.post("/api/voice", params=query, content=body)


async def refused(app: RunningApp, **query: str) -> tuple[str, int | None]:
    """The code of the first error on the assistant's socket, and how it was closed."""
    wishes = "&".join(f"{name}={value}" for name, value in query.items())
    async with connect(f"{app.ws_url}/ws/voice?{wishes}") as client:
        told = json.loads(await client.recv())
        await client.wait_closed()
    assert told["type"] == "error", told
    return told["code"], client.close_code


@pytest.fixture
def made(app: RunningApp, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sessions that are created."""
    assert app.services is not None
    sessions, names = app.services.sessions, list[str]()
    create = sessions.create

    async def noted(*args: Any, **how: Any) -> Any:
        created = await create(*args, **how)
        names.append(created[0])
        return created

    monkeypatch.setattr(sessions, "create", noted)
    return names


# ---------------------------------------------------------------- what is sent


@pytest.mark.parametrize(
    ("format", "rate", "resolved"),
    [
        ("pcm16", None, 16_000),
        ("mulaw", None, 8_000),
        ("alaw", None, 8_000),
        ("mulaw", 16_000, 16_000),
        ("opus", None, 48_000),
        ("opus", 16_000, 48_000),
    ],
)
async def test_the_rate_follows_from_the_format_unless_it_is_said(
    app: RunningApp, format: str, rate: int | None, resolved: int
) -> None:
    wish: dict[str, Any] = {"format": format} | ({} if rate is None else {"rate": rate})
    session = await new_session(app, reply=False)
    async with calling(app, session) as caller:
        await caller.open(**wish)
    async with assistant(app, session_id=session, **wish):
        pass
    opened = of(await events_of(app, session), "input.opened")
    assert [(each["format"], each["rate"]) for each in opened] == [(format, resolved)] * 2


# ---------------------------------------------------------------- which session


async def test_a_mode_that_is_wished_for_changes_the_session_and_is_the_one_that_is_told(
    app: RunningApp,
) -> None:
    session = await new_session(app, mode="realtime", reply=False)
    told = [(await at_once(app, wav(SPEECH), session_id=session)).json()["mode"]]
    told.append((await at_once(app, wav(SPEECH), session_id=session, mode="legacy")).json()["mode"])
    told.append((await at_once(app, wav(SPEECH), session_id=session)).json()["mode"])
    events = await events_of(app, session)
    assert told == ["realtime", "legacy", "legacy"]
    assert [each["settings"]["mode"] for each in of(events, "input.opened")] == told
    assert [each["mode"] for each in of(events, "transcript.final")] == told
    assert len(of(events, "settings.changed")) == 1


async def test_a_socket_tells_how_it_listens(app: RunningApp) -> None:
    session = await new_session(app, mode="quality")
    told = []
    for query in ({}, {"session_id": session}, {"session_id": session, "mode": "legacy"}):
        wishes = "&".join(f"{name}={value}" for name, value in query.items())
        async with connect(f"{app.ws_url}/ws/voice?{wishes}") as client:
            told.append(json.loads(await client.recv())["mode"])
    assert told == ["realtime", "quality", "legacy"]


async def test_a_users_own_session_takes_no_words(app: RunningApp) -> None:
    assert app.services is not None
    sessions = app.services.sessions
    user, *_ = await in_app(app, lambda: sessions.create(CreateSession(), kind="user"))
    answer = await at_once(app, wav(SPEECH), session_id=user)
    assert (answer.status_code, answer.json()["code"]) == (409, "state.refused")
    assert await refused(app, session_id=user) == ("state.refused", 4409)
    assert [event["type"] for event in await events_of(app, user)] == ["session.started"]


@pytest.mark.parametrize("body", [b"", b"\xff\xd8\xff\xe0 a picture", b"RIFF", wav(b"")])
async def test_a_body_without_sound_leaves_no_session_behind(
    app: RunningApp, made: list[str], body: bytes
) -> None:
    assert (await at_once(app, body)).json()["code"] == "sound.unreadable"
    assert made == []


async def test_a_conversation_that_cannot_begin_leaves_no_session_behind(
    app: RunningApp, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: Any, **__: Any) -> None:
        raise GatewayBusy("nobody has time")

    assert app.services is not None
    monkeypatch.setattr(app.services.audio_inputs, "open", busy)
    assert (await at_once(app, wav(SPEECH))).json()["code"] == "gateway.busy"
    assert (await refused(app))[0] == "gateway.busy"
    kept = await new_session(app)
    assert (await refused(app, session_id=kept))[0] == "gateway.busy"
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        found = [(await http.get(f"/v1/sessions/{name}")).status_code for name in made]
    assert found == [410, 410, 200]


# ---------------------------------------------------------------- who comes back


async def heard_of(app: RunningApp, **query: Any) -> list[Message]:
    """Of an answer, from coming back to its end."""
    async with assistant(app, **query) as (client, _):
        return await until(client, "done")


async def ask(app: RunningApp, session: str, prompt: str) -> int:
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        answer = await http.post(f"/v1/sessions/{session}/turns", json={"prompt": prompt})
    turn: int = answer.json()["turn"]
    return turn


async def ended(app: RunningApp, session: str, turn: int) -> None:
    async with calling(app, session, **{"from": 0}) as caller:
        await caller.until(lambda event: event["type"] == "turn.completed" and event["turn"] == turn)


def text_of(heard: list[Message]) -> str:
    return "".join(message["token"] for message in heard if message["type"] == "token")


async def test_a_client_that_comes_back_is_told_the_answer_that_is_being_given_from_its_beginning(
    app: RunningApp,
) -> None:
    session = await new_session(app)
    turn = await ask(app, session, "at length")
    async with calling(app, session, **{"from": 0}) as caller:
        await caller.event("audio.chunk", count=3)
    heard = await heard_of(app, session_id=session)
    assert heard[-1] == {"type": "done", "turn": turn}
    assert text_of(heard) == ANSWER * 24
    lengths: dict[int, int] = {}
    for data in of(await events_of(app, session), "audio.chunk"):
        lengths[data["sentence"]] = lengths.get(data["sentence"], 0) + data["ms"]
    files = [mp3_ms(message["chunk"]) for message in heard if message["type"] == "audio-chunk"]
    assert files == pytest.approx(list(lengths.values()), abs=120)  # MP3 begins and ends with a frame


async def test_a_client_that_says_what_they_have_is_told_all_that_came_after(app: RunningApp) -> None:
    session = await new_session(app)
    turns = [await ask(app, session, prompt) for prompt in ("One.", "Two.", "Three.")]
    await ended(app, session, turns[-1])
    async with assistant(app, session_id=session, after=turns[0]) as (client, _):
        heard = await until(client, "done") + await until(client, "done")
    assert {message["turn"] for message in heard} == set(turns[1:])
    assert text_of(heard) == ANSWER * 2
    assert [m["turn"] for m in heard if m["type"] == "done"] == turns[1:]


async def test_a_client_that_has_all_is_told_only_what_is_new(app: RunningApp) -> None:
    session = await new_session(app)
    first = await ask(app, session, "One.")
    await ended(app, session, first)
    async with connect(f"{app.ws_url}/ws/voice?session_id={session}", max_size=None) as client:
        assert json.loads(await client.recv())["over"] == first
        turn = await ask(app, session, "Two.")
        heard = await until(client, "done")
    assert {message["turn"] for message in heard} == {turn}


async def test_a_session_that_is_deleted_says_so_before_the_socket_is_closed(app: RunningApp) -> None:
    async with assistant(app) as (client, session):
        async with httpx.AsyncClient(base_url=app.url, timeout=LIMIT_S) as http:
            assert (await http.delete(f"/v1/sessions/{session}")).status_code == 204
        [told] = await until(client, "error")
        await client.wait_closed()
    assert (told["code"], client.close_code) == ("session.ended", 4409)
    assert (await refused(app, session_id=UNKNOWN))[0] == "session.not_found"


# ---------------------------------------------------------------- who leaves


@pytest.mark.parametrize("path", ["/v1/sessions/{}/recordings?", "/api/voice?session_id={}"])
async def test_a_recording_whose_sender_left_is_listened_to_no_more(
    app: RunningApp, hesitating: Hesitating, path: str
) -> None:
    session, sound = await new_session(app), SPEECH * 12
    body, place = wav(sound), urlsplit(app.url)
    head = (
        f"POST {path.format(session)} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    async with calling(app, session, **{"from": 0}) as caller:
        with socket.create_connection((place.hostname, place.port)) as sender:
            await asyncio.to_thread(sender.sendall, head.encode() + body)
            await caller.event("speech.ended", count=3)
        hesitating.go_on()
        closed = (await caller.event("input.closed"))["data"]
    assert (closed["reason"], closed["code"]) == ("failed", "input.cancelled")
    assert closed["ms"] < len(sound) // 32
    assert of(await events_of(app, session), "turn.requested") == []
