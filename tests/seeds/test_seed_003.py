"""Seed 003, its testing checklist: narrations over a WebSocket, pushed as they are made."""

import json
from collections.abc import Iterator

import anyio
import pytest

from tests.seeds.conftest import STORY
from tests.seeds.people import Message, Person, messages, milliseconds, of, sound, until
from tests.support.eventually import eventually
from tests.support.servers.speech_server import FakeSpeechServer

pytestmark = pytest.mark.anyio
NUMBERED = " ".join(f"This is sentence number {number} of them all." for number in range(30))


async def narrated(person: Person, text: str = STORY) -> tuple[str, Message]:
    """A scene that is there already, and the answer to asking for its narration."""
    scene = await person.scene(await person.story(), content=text)
    return str(scene["id"]), await person.generate(scene["id"])


async def test_the_backend_websocket_accepts_connections(person: Person) -> None:
    _, answer = await narrated(person)
    got = await messages(person, answer["websocket_url"])
    assert got[0]["type"] == "connected"
    assert got[0]["session_id"] == answer["session_id"]
    assert got[0]["total_chunks"] == answer["total_chunks"] == 6


async def test_session_creation_works_and_does_not_wait_for_the_audio(
    person: Person, remote: FakeSpeechServer
) -> None:
    remote.silent = True
    await person.prefer(tts_provider="cloud")
    _, answer = await narrated(person)
    assert set(answer) == {"session_id", "websocket_url", "status", "total_chunks", "created"}
    assert (answer["status"], answer["created"]) == ("requested", True)
    remote.silent = False
    assert (await messages(person, answer["websocket_url"]))[-1]["type"] == "complete"


async def test_chunks_stream_correctly(person: Person) -> None:
    _, answer = await narrated(person, NUMBERED)
    got = await messages(person, answer["websocket_url"])
    chunks = of(got, "chunk_ready")
    assert set(chunks[0]) == {
        *("type", "chunk_number", "audio", "format", "text", "duration_ms"),
        *("chunks_ready", "total_chunks"),
    }
    assert " ".join(chunk["text"] for chunk in chunks) == NUMBERED
    assert [chunk["chunk_number"] for chunk in chunks] == list(range(len(chunks)))
    assert all(0 <= milliseconds(sound(chunk)) - chunk["duration_ms"] <= 120 for chunk in chunks)
    last = got[-1]
    assert (last["type"], last["total_chunks"], last["missing_chunks"]) == ("complete", len(chunks), 0)
    assert last["duration_ms"] == sum(chunk["duration_ms"] for chunk in chunks)
    assert not last["stopped"]


async def test_chunks_are_whole_sentences(person: Person) -> None:
    text = "If you come to the old mill, you will find a key under the stone. Take it and go home."
    _, answer = await narrated(person, text)
    chunks = of(await messages(person, answer["websocket_url"]), "chunk_ready")
    assert answer["total_chunks"] == len(chunks) == 2
    assert [chunk["text"] for chunk in chunks] == [text[:65], text[66:]]


@pytest.mark.parametrize("audio", ["mp3", "wav", "opus", "pcm16"])
async def test_chunks_come_in_the_format_that_was_asked_for(person: Person, audio: str) -> None:
    scene, answer = await narrated(person)
    got = await messages(person, f"{answer['websocket_url']}?format={audio}")
    chunks = of(got, "chunk_ready")
    assert {chunk["format"] for chunk in chunks} == {audio}
    by_rest = await person.http.get(f"/api/tts/audio/{scene}/chunk/0", params={"format": audio})
    assert by_rest.content == sound(chunks[0])


async def test_progress_is_n_of_m_and_m_is_right_from_the_start(
    person: Person, remote: FakeSpeechServer
) -> None:
    remote.silent = True
    await person.prefer(tts_provider="cloud")
    _, answer = await narrated(person, NUMBERED)
    connected = await messages(person, answer["websocket_url"], until=lambda got: True)
    remote.forget()
    got = await messages(person, answer["websocket_url"])
    total = len(of(got, "chunk_ready"))
    assert (got[-1]["type"], got[-1]["missing_chunks"]) == ("complete", 0)
    assert (connected[0]["chunks_ready"], connected[0]["total_chunks"]) == (0, total)
    assert answer["total_chunks"] == total
    counts = [(chunk["chunks_ready"], chunk["total_chunks"]) for chunk in of(got, "chunk_ready")]
    assert counts == [(number, total) for number in range(1, total + 1)]


async def test_error_handling_a_narration_that_cannot_be_made_says_why(
    person: Person, remote: FakeSpeechServer
) -> None:
    remote.refusals = [(500, {})] * 50
    await person.prefer(tts_provider="cloud")
    scene, answer = await narrated(person)
    got = await messages(person, answer["websocket_url"])
    assert [message["type"] for message in got] == ["connected", "error"]
    assert (got[-1]["code"], got[-1]["retryable"]) == ("engine.failed", True)
    gone = await person.http.get(f"/api/tts/audio/{scene}/chunk/0")
    assert (gone.status_code, gone.json()["code"]) == (404, "chunk.not_found")


# ---------------------------------------------------------------- connection recovery


async def test_connection_recovery_after_every_chunk(person: Person) -> None:
    _, answer = await narrated(person, NUMBERED)
    whole = of(await messages(person, answer["websocket_url"]), "chunk_ready")
    for number in range(len(whole)):
        rest = await messages(person, f"{answer['websocket_url']}?after={number}")
        assert rest[0]["chunks_ready"] == len(whole)
        assert of(rest, "chunk_ready") == whole[number + 1 :]
        assert rest[-1]["type"] == "complete"


async def test_connection_recovery_while_it_is_being_made(person: Person, remote: FakeSpeechServer) -> None:
    """The connection breaks after every chunk; each one is heard once, and nothing is made twice."""
    await person.prefer(tts_provider="cloud")
    _, answer = await narrated(person, NUMBERED)
    got: list[Message] = []
    while not of(got, "complete"):
        after = f"?after={of(got, 'chunk_ready')[-1]['chunk_number']}" if of(got, "chunk_ready") else ""
        got += await messages(
            person, answer["websocket_url"] + after, until=lambda part: bool(of(part, "chunk_ready"))
        )
    chunks = of(got, "chunk_ready")
    assert [chunk["chunk_number"] for chunk in chunks] == list(range(len(chunks)))
    assert " ".join(chunk["text"] for chunk in chunks) == NUMBERED
    assert len({request["input"] for request in remote.requests}) == len(remote.requests) == len(chunks)


async def test_a_client_without_a_socket_fetches_chunk_by_chunk(
    person: Person, remote: FakeSpeechServer
) -> None:
    remote.silent = True
    await person.prefer(tts_provider="cloud")
    scene, answer = await narrated(person)
    early = await person.http.get(f"/api/tts/audio/{scene}/chunk/0")
    assert (early.status_code, early.json()["code"]) == (425, "chunk.not_ready")
    assert int(early.headers["retry-after"]) > 0
    remote.silent = False
    played = []
    for number in range(answer["total_chunks"]):

        async def ready(number: int = number) -> bool:
            fetched = await person.http.get(f"/api/tts/audio/{scene}/chunk/{number}")
            assert fetched.status_code in (200, 425)
            if fetched.status_code == 200:
                played.append(fetched.content)
                assert fetched.headers["x-total-chunks"] == str(answer["total_chunks"])
            return fetched.status_code == 200

        await until(ready)
    chunks = of(await messages(person, answer["websocket_url"]), "chunk_ready")
    assert played == [sound(chunk) for chunk in chunks]
    beyond = await person.http.get(f"/api/tts/audio/{scene}/chunk/{len(played)}")
    assert (beyond.status_code, beyond.json()["code"]) == (404, "chunk.not_found")


# ---------------------------------------------------------------- multiple concurrent users


async def test_multiple_concurrent_users(person: Person, keys: Iterator[tuple[str, str]]) -> None:
    heard: dict[str, list[Message]] = {}

    async def listen(text: str, name: str, key: str) -> None:
        async with Person.of(person.app, name, key) as somebody:
            _, answer = await narrated(somebody, text)
            heard[text] = await messages(somebody, answer["websocket_url"])

    async with anyio.create_task_group() as crowd:
        for number in range(20):
            text = " ".join(f"Sentence {n} that only user {number} may hear." for n in range(10))
            crowd.start_soon(listen, text, *next(keys))
    assert len(heard) == 20
    for text, got in heard.items():
        chunks = of(got, "chunk_ready")
        assert " ".join(chunk["text"] for chunk in chunks) == text
        assert (got[-1]["type"], got[-1]["total_chunks"]) == ("complete", len(chunks))


async def test_many_listeners_of_one_narration_hear_the_same(
    person: Person, remote: FakeSpeechServer
) -> None:
    await person.prefer(tts_provider="cloud")
    _, answer = await narrated(person, NUMBERED)
    heard: list[list[Message]] = []

    async def listen() -> None:
        heard.append(of(await messages(person, answer["websocket_url"]), "chunk_ready"))

    async with anyio.create_task_group() as listeners:
        for _ in range(8):
            listeners.start_soon(listen)
    assert all(chunks == heard[0] for chunks in heard)
    assert len(remote.requests) == len(heard[0])


# ---------------------------------------------------------------- manual controls


async def test_a_narration_can_be_cancelled_and_what_was_made_stays(
    person: Person, remote: FakeSpeechServer
) -> None:
    await person.prefer(tts_provider="cloud")
    remote.answers = 4
    scene, answer = await narrated(person, NUMBERED)
    await messages(person, answer["websocket_url"], until=lambda got: len(of(got, "chunk_ready")) == 4)
    stopped = await person.http.delete(f"/api/tts/generate/{answer['session_id']}")
    assert (stopped.status_code, stopped.json()) == (202, {"status": "stopping"})
    got = await messages(person, answer["websocket_url"])
    assert (got[-1]["type"], got[-1]["stopped"]) == ("complete", True)
    assert len(of(got, "chunk_ready")) == 4
    assert (await person.http.get(f"/api/tts/audio/{scene}/chunk/3")).status_code == 200
    assert (await person.http.get(f"/api/tts/audio/{scene}/chunk/4")).status_code == 404
    again = await person.http.delete(f"/api/tts/generate/{answer['session_id']}")
    assert (again.status_code, again.json()["code"]) == (409, "turn.none_running")

    async def known() -> bool:
        shown = (await person.http.get(f"/api/stories/{scene.partition('.')[0]}/scenes/1")).json()
        return bool(shown["narration"]["status"] == "failed")

    await until(known)
    remote.forget()
    anew = await person.generate(scene)
    assert anew["created"]
    assert (await messages(person, anew["websocket_url"]))[-1]["missing_chunks"] == 0


async def test_pause_resume_and_skip_by_the_socket(person: Person, remote: FakeSpeechServer) -> None:
    remote.silent = True
    await person.prefer(tts_provider="cloud")
    _, answer = await narrated(person, NUMBERED)
    async with person.socket(answer["websocket_url"]) as socket:
        await eventually(lambda: len(remote.requests) == 3)
        for command in ({"type": "skip", "sentence": 1}, {"type": "pause"}, {"type": "ping"}):
            await socket.send(json.dumps(command))
        got: list[Message] = []
        while not of(got, "pong"):
            got.append(json.loads(await socket.recv()))

        async def paused() -> bool:
            return bool(await person.events_of(answer["session_id"], "playback.paused"))

        await until(paused)
        remote.silent = False
        await socket.send('{"type": "resume"}')
        got += [json.loads(text) async for text in socket]
    assert len(of(got, "chunk_ready")) == answer["total_chunks"] - 1
    assert (got[-1]["type"], got[-1]["missing_chunks"]) == ("complete", 1)


async def test_deleting_the_story_takes_its_narrations_with_it(person: Person) -> None:
    scene, answer = await narrated(person)
    await messages(person, answer["websocket_url"])
    assert (await person.http.delete(f"/api/stories/{scene.partition('.')[0]}")).status_code == 204
    for path in (f"/api/tts/audio/{scene}/chunk/0", f"/api/tts/audio/{answer['session_id']}/chunk/0"):
        gone = await person.http.get(path)
        assert (gone.status_code, gone.json()["code"]) == (410, "session.gone")
    got = await messages(person, answer["websocket_url"])
    assert [message["code"] for message in got] == ["session.gone"]


async def test_a_scene_heard_live_can_be_played_again_like_a_narration(person: Person) -> None:
    live = await messages(person, await person.stream(await person.story()))
    scene = live[-1]["scene_id"]
    answer = await person.generate(scene)
    assert (answer["session_id"], answer["created"], answer["status"]) == (scene, False, "ready")
    got = await messages(person, answer["websocket_url"])
    assert [chunk["audio"] for chunk in of(got, "chunk_ready")] == [
        chunk["audio"] for chunk in of(live, "audio_chunk")
    ]
    forced = await person.generate(scene, force_regenerate=True)
    assert forced["created"]
    assert (await messages(person, forced["websocket_url"]))[-1]["total_chunks"] == len(
        of(got, "chunk_ready")
    )


# ---------------------------------------------------------------- voices


async def test_every_voice_can_be_heard_before_it_is_chosen(person: Person, remote: FakeSpeechServer) -> None:
    listed = (await person.http.get("/api/tts/voices")).json()
    assert {(voice["provider"], voice["id"]) for voice in listed} == {
        *(("local", "joe"), ("local", "alto")),
        *(("cloud", "joe"), ("cloud", "alto")),
    }
    for voice in listed:
        first = await person.http.get(voice["preview_url"])
        assert first.headers["content-type"] == "audio/mpeg"
        assert milliseconds(first.content) > 100
        assert (await person.http.get(voice["preview_url"])).content == first.content
    assert {request["voice"] for request in remote.requests} == {"joe", "alto"}
    spoken = len(remote.requests)
    await person.http.get(listed[-1]["preview_url"])
    assert len(remote.requests) == spoken


async def test_a_preview_that_failed_is_tried_again(person: Person, remote: FakeSpeechServer) -> None:
    path = "/api/tts/voices/alto/preview?provider=cloud"
    remote.refusals = [(500, {})] * 100
    failed = await person.http.get(path)
    assert (failed.status_code, failed.json()["code"]) == (502, "engine.failed")
    remote.forget()
    assert milliseconds((await person.http.get(path)).content) > 100
