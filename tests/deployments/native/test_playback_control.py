"""Stop, pause, resume, skip and delete, as events that everybody sees."""

import httpx
import pytest

from tests.support.clients.native_client import Heard, ask, create, frames, listen_until_over, open_stream
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio


async def listen_for(app: RunningApp, session: str, heard: Heard, kind: str) -> None:
    """Take events until one of this kind came."""
    async with open_stream(app.ws_url, session, from_=heard.last) as socket:
        async for event, audio in frames(socket):
            if "data" in event:
                heard.take(event, audio)
                if event["type"] == kind:
                    return


async def control(http: httpx.AsyncClient, session: str, **body: object) -> httpx.Response:
    return await http.post(f"/v1/sessions/{session}/control", json=body)


async def test_stop_ends_the_turn_keeps_what_was_said_and_stops_the_engines(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    session, heard = await create(http), Heard()
    turn = await ask(http, session, prompt="slowly please")
    await listen_for(app, session, heard, "audio.chunk")
    assert (await control(http, session, action="stop")).status_code == 202
    await listen_until_over(app.ws_url, session, turn, heard)
    assert heard.types(turn)[-1] == "turn.stopped"
    assert heard.text(turn)
    state = (await http.get(f"/v1/sessions/{session}")).json()
    assert state["turns"][0]["status"] == "stopped"
    assert app.engines["language_model"].open_streams == 0
    assert app.engines["text_to_speech"].open_streams == 0


async def test_a_waiting_turn_can_be_stopped_before_it_begins(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    session = await create(http)
    first = await ask(http, session, prompt="slowly please")
    second = await ask(http, session, prompt="Tell me a story")
    assert (await control(http, session, action="stop", turn=second)).status_code == 202
    heard = await listen_until_over(app.ws_url, session, second)
    assert heard.types(second) == ["turn.stop_requested", "turn.stopped"]
    assert not heard.is_over(first)
    await control(http, session, action="stop", turn=first)


async def test_a_skipped_sentence_makes_no_more_sound_and_the_next_ones_do(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    session = await create(http)
    turn = await ask(http, session, prompt="slowly please")
    assert (await control(http, session, action="skip", sentence=25, turn=turn)).status_code == 202
    heard = await listen_until_over(app.ws_url, session, turn)
    assert [f["data"]["sentence"] for f in heard.of("sentence.skipped", turn)] == [25]
    voiced = [f["data"]["sentence"] for f in heard.of("sentence.completed", turn)]
    assert 25 not in voiced
    assert 26 in voiced


async def test_a_pause_holds_the_voice_and_lets_the_text_go_on(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    session, heard = await create(http), Heard()
    turn = await ask(http, session, prompt="slowly please")
    await control(http, session, action="pause")
    await listen_for(app, session, heard, "text.completed")
    assert len(heard.of("sentence.completed", turn)) < len(heard.of("sentence.ready", turn))
    assert not heard.is_over(turn)
    assert (await http.get(f"/v1/sessions/{session}")).json()["paused"] is True
    await control(http, session, action="resume")
    await listen_until_over(app.ws_url, session, turn, heard)
    assert len(heard.of("sentence.completed", turn)) == len(heard.of("sentence.ready", turn))


async def test_commands_work_over_the_socket_too(app: RunningApp, http: httpx.AsyncClient) -> None:
    session = await create(http)
    async with open_stream(app.ws_url, session) as socket:
        await socket.send('{"type": "turn.request", "prompt": "slowly please", "ref": "r1", "key": "k"}')
        await socket.send('{"type": "ping", "ref": "r2"}')
        answers = {}
        async for event, _ in frames(socket):
            if event["type"] in ("accepted", "pong", "error"):
                answers[event["ref"]] = event
            if event["type"] == "audio.chunk" and "r3" not in answers:
                await socket.send('{"type": "control", "action": "stop", "ref": "r3"}')
            if event["type"] == "turn.stopped":
                break
    assert answers["r1"]["turn"] == answers["r1"]["seq"] == 2
    assert answers["r2"]["type"] == "pong"
    assert event["turn"] == 2


async def test_a_deleted_session_says_goodbye_and_is_gone(app: RunningApp, http: httpx.AsyncClient) -> None:
    session = await create(http)
    turn = await ask(http, session, prompt="slowly please")
    async with open_stream(app.ws_url, session) as socket:
        assert (await http.delete(f"/v1/sessions/{session}")).status_code == 204
        heard, last = Heard(), {}
        async for event, _ in frames(socket):
            last = event
            if "data" in event:
                heard.take(event)
    assert heard.types()[-2:] == ["turn.stopped", "session.ended"]
    assert heard.is_over(turn)
    assert last["type"] == "end"
    gone = await http.get(f"/v1/sessions/{session}")
    assert (gone.status_code, gone.json()["code"]) == (410, "session.gone")
    async with open_stream(app.ws_url, session) as socket:
        said = [event async for event, _ in frames(socket)]
    assert [event["code"] for event in said] == ["session.gone"]
    assert socket.close_code == 4410
