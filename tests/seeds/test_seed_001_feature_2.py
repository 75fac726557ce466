"""Seed 001, "Feature 2 Testing": a scene that is heard while it is being written, point by point."""

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

import anyio
import pytest

from pipeline.engines.ports import ChatRequest, Written
from tests.seeds.conftest import CROWD, LENGTHS, PUNCTUATED, SLOW, SLOWLY, STORY
from tests.seeds.people import (
    Message,
    Person,
    heard,
    kinds,
    messages,
    milliseconds,
    of,
    sound,
    text_of,
    until,
)
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp
from tests.support.servers.speech_server import FakeSpeechServer

pytestmark = pytest.mark.anyio

GATED_CHARS = 250


async def test_1_enable_real_time_tts(person: Person) -> None:
    assert not (await person.http.get("/api/tts/settings")).json()["preferences"]["realtime_tts_enabled"]
    assert (await person.prefer(realtime_tts_enabled=True))["preferences"]["realtime_tts_enabled"]
    got = await messages(person, await person.stream(await person.story()))
    assert of(got, "audio_chunk")


async def test_1_the_name_of_the_seeds_settings_form_is_taken_too(person: Person) -> None:
    assert (await person.prefer(realtime_tts=True))["preferences"]["realtime_tts_enabled"] is True
    assert (await person.prefer(speech_speed=1.5))["preferences"]["realtime_tts_enabled"] is True
    both = {"realtime_tts": True, "realtime_tts_enabled": False}
    refused = await person.http.put("/api/tts/settings", json=both)
    assert (refused.status_code, refused.json()["code"]) == (422, "input.unknown_field")


async def test_1_without_it_the_scene_is_written_all_the_same(person: Person) -> None:
    story = await person.story()
    silent = await messages(person, await person.stream(story, enable_tts_stream="false"))
    await person.prefer(tts_enabled=False)
    never = await messages(person, await person.stream(story))
    for got in (silent, never):
        assert kinds(got) == ["connected", "generation_started", "text_chunk", "generation_complete"]
        assert text_of(got) == STORY
        assert (got[-1]["total_sentences"], got[-1]["total_length"]) == (0, len(STORY))


async def test_2_trigger_scene_generation_with_a_form_or_with_json(person: Person) -> None:
    story = await person.story()
    path = f"/api/stories/{story}/scenes/generate-with-tts-stream"
    wish = {"custom_prompt": "Größe & Maß, 5 + 5 = 10 %", "enable_tts_stream": "true"}
    answers = [
        await person.http.post(path, data=wish),
        await person.http.post(path, files={name: (None, value) for name, value in wish.items()}),
        await person.http.post(path, json=wish | {"enable_tts_stream": True}),
        await person.http.post(
            path,
            content=f"custom_prompt={wish['custom_prompt'].replace('&', '%26').replace('+', '%2B')}".encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        ),
        await person.http.post(path),
    ]
    for number, answer in enumerate(answers, 1):
        assert answer.status_code == 200, answer.text
        session = answer.json()["session_id"]
        assert answer.json()["websocket_url"] == f"{person.app.ws_url}/ws/scene-generation/{session}"
        got = await messages(person, answer.json()["websocket_url"])
        assert got[-1]["scene_id"] == session
        scene = (await person.http.get(f"/api/stories/{story}/scenes/{number}")).json()
        assert (scene["id"], scene["content"], scene["spoken"]) == (session, STORY, True)
        prompts = {wish["custom_prompt"]} if number < 5 else {"Write the next scene of the story."}
        assert {scene["prompt"]} == prompts


async def test_2_the_same_wish_sent_twice_is_one_scene(person: Person) -> None:
    story = await person.story()
    path = f"/api/stories/{story}/scenes/generate-with-tts-stream"
    answers = [await person.http.post(path, headers={"Idempotency-Key": "once"}) for _ in range(3)]
    assert len({answer.json()["session_id"] for answer in answers}) == 1
    assert len((await person.http.get(f"/api/stories/{story}")).json()["scenes"]) == 1


async def test_2_the_messages_are_those_of_the_seed(person: Person) -> None:
    got = await heard(person)
    assert got[0] == {"type": "connected", "session_id": got[-1]["scene_id"]}
    assert got[1]["message"] == "Starting scene generation with real-time narration"
    shapes = {
        "connected": {"type", "session_id"},
        "generation_started": {"type", "message", "seq"},
        "text_chunk": {"type", "text", "seq"},
        "audio_chunk": {"type", "audio", "sentence_number", "sentence_text", "format", "seq"},
        "generation_complete": {"type", "scene_id", "total_sentences", "total_length", "seq"},
    }
    assert {message["type"]: set(message) for message in got} == shapes
    seqs = [message["seq"] for message in got[1:]]
    assert seqs == sorted(set(seqs))


async def test_3_text_appears_progressively(
    person: Person, app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = ""
    answer = app.engines["language_model"].stream

    async def no_faster_than_it_is_shown(request: ChatRequest) -> AsyncGenerator[Written, None]:
        """For the first sentences: each delta comes once the one before has reached the listener."""
        written = 0
        async with aclosing(answer(request)) as answered:
            async for item in answered:
                yield item
                written += len(item) if isinstance(item, str) else 0
                due = min(written, GATED_CHARS)
                await eventually(lambda due=due: len(shown) >= due)

    def note(got: list[Message]) -> bool:
        nonlocal shown
        shown = text_of(got)
        return False

    monkeypatch.setattr(app.engines["language_model"], "stream", no_faster_than_it_is_shown)
    got = await messages(person, await person.stream(await person.story(), "slowly"), until=note)
    chunks = of(got, "text_chunk")
    assert len(chunks) > 20
    assert text_of(got) == SLOW
    scene = of(got, "generation_complete")[0]
    assert scene["total_length"] == len(SLOW)


async def test_4_audio_comes_as_sentences_complete(person: Person) -> None:
    got = await heard(person, "slowly")
    types = [message["type"] for message in got]
    last_text = len(types) - 1 - types[::-1].index("text_chunk")
    assert types.index("audio_chunk") < last_text
    shown = ""
    for message in got:
        shown += message["text"] if message["type"] == "text_chunk" else ""
        if message["type"] == "audio_chunk":
            assert message["sentence_text"] in shown


async def test_4_each_sentence_plays_by_itself_for_as_long_as_it_lasts(person: Person) -> None:
    got = await heard(person)
    scene = of(got, "generation_complete")[0]["scene_id"]
    story, _, turn = scene.partition(".")
    voiced = [
        event["data"]["ms"]
        for event in await person.events_of(story, "sentence.completed")
        if event["turn"] == int(turn)
    ]
    chunks = of(got, "audio_chunk")
    assert [chunk["format"] for chunk in chunks] == ["mp3"] * len(voiced)
    assert len(voiced) > 3
    for chunk, ms in zip(chunks, voiced, strict=True):
        assert 0 <= milliseconds(sound(chunk)) - ms <= 120  # an MP3 ends with padding


@pytest.mark.parametrize(
    ("prompt", "sentences"),
    [
        (
            "punctuation",
            [
                "Dr. Smith paid $3.50 at 5 p.m. for it!",
                "“Really?” she asked.",
                "Wait... what happened then?!",
                "He looked up (slowly, as ever).",
                "It was over: no more; no less.",
                "The U.S. ship left at 10:45 a.m. and nobody saw it again.",
                "A new paragraph began",
            ],
        ),
        ("Tell", None),
    ],
)
async def test_5_sentence_boundaries_with_various_punctuation(
    person: Person, prompt: str, sentences: list[str] | None
) -> None:
    got = await heard(person, prompt, min_sentence_length=1)
    spoken = [chunk["sentence_text"] for chunk in of(got, "audio_chunk")]
    assert "".join("".join(spoken).split()) == "".join(text_of(got).split())
    if sentences is not None:
        assert text_of(got) == PUNCTUATED
        assert spoken == sentences


async def test_6_long_and_short_sentences(person: Person) -> None:
    got = await heard(person, "long and short", min_sentence_length=20)
    spoken = [chunk["sentence_text"] for chunk in of(got, "audio_chunk")]
    assert " ".join(spoken) == LENGTHS
    assert spoken[0].startswith("No. Yes! Go.")
    assert max(map(len, spoken)) <= 300
    assert [chunk["sentence_number"] for chunk in of(got, "audio_chunk")] == list(range(len(spoken)))
    assert got[-1]["total_sentences"] == len(spoken)


async def test_7_a_fast_writer_does_not_drown_a_slow_voice(person: Person, remote: FakeSpeechServer) -> None:
    """All text is there while the first sentence is still being spoken; few sentences wait at the voice."""
    remote.silent = True
    await person.prefer(tts_provider="cloud")
    url = await person.stream(await person.story(), "slowly")
    written = await messages(person, url, until=lambda got: len(text_of(got)) == len(SLOW))
    assert of(written, "audio_chunk") == []
    assert len(remote.requests) <= person.app.settings.limits.sentences_ahead + 2
    remote.silent = False
    got = await messages(person, url)
    spoken = of(got, "audio_chunk")
    assert [chunk["sentence_number"] for chunk in spoken] == list(range(SLOWLY))
    assert " ".join(chunk["sentence_text"] for chunk in spoken) == SLOW.strip()
    # Those that wait together are asked for side by side.
    asked = sorted(request["input"] for request in remote.requests)
    assert asked == sorted(chunk["sentence_text"] for chunk in spoken)


async def test_9_stop_generation_mid_stream(person: Person) -> None:
    story, got = await person.story(), []
    async with person.socket(await person.stream(story, "slowly")) as socket:
        async for text in socket:
            got.append(json.loads(text))
            if got[-1]["type"] == "audio_chunk" and len(of(got, "audio_chunk")) == 2:
                await socket.send('{"type": "stop"}')
    assert (got[-1]["type"], got[-1]["stopped"]) == ("generation_complete", True)
    assert len(text_of(got)) == got[-1]["total_length"] < len(SLOW)
    scene = (await person.http.get(f"/api/stories/{story}/scenes/1")).json()
    assert (scene["status"], scene["content"]) == ("stopped", text_of(got))
    engines = person.app.engines
    await eventually(lambda: engines["language_model"].open_streams == 0)
    await eventually(lambda: engines["text_to_speech"].open_streams == 0)


async def test_9_pause_and_resume(person: Person, remote: FakeSpeechServer) -> None:
    """While it is paused no further sentence is begun; the text goes on."""
    remote.silent = True
    await person.prefer(tts_provider="cloud")
    story = await person.story()
    async with person.socket(await person.stream(story, "slowly")) as socket:
        await eventually(lambda: len(remote.requests) == 3)
        await socket.send('{"type": "pause"}')

        async def paused() -> bool:
            return bool(await person.events_of(story, "playback.paused"))

        await until(paused)
        remote.silent = False
        got: list[Message] = []
        while len(of(got, "audio_chunk")) < 3 or len(text_of(got)) < len(SLOW):
            got.append(json.loads(await socket.recv()))
        assert len(remote.requests) in (3, 4)  # one may have been on its way
        await socket.send('{"type": "resume"}')
        got += [json.loads(text) async for text in socket]
    assert [chunk["sentence_number"] for chunk in of(got, "audio_chunk")] == list(range(SLOWLY))
    assert got[-1]["total_sentences"] == SLOWLY


async def test_9_skip_a_sentence(person: Person, remote: FakeSpeechServer) -> None:
    remote.silent = True
    await person.prefer(tts_provider="cloud")
    story = await person.story()
    async with person.socket(await person.stream(story, "slowly")) as socket:
        await eventually(lambda: len(remote.requests) >= 1)
        await socket.send('{"type": "skip"}')
        await socket.send('{"type": "skip", "sentence": 4}')

        async def skipped() -> bool:
            return len(await person.events_of(story, "sentence.skip_requested")) == 2

        await until(skipped)
        remote.silent = False
        got = [json.loads(text) async for text in socket]
    assert len(of(got, "audio_chunk")) == got[-1]["total_sentences"] == SLOWLY - 2
    numbers = [event["data"]["sentence"] for event in await person.events_of(story, "sentence.skipped")]
    assert numbers == [0, 4]


async def test_10_twenty_users_at_once_hear_their_own_story_and_no_other(
    person: Person, keys: Iterator[tuple[str, str]]
) -> None:
    heard_by: dict[str, list[Message]] = {}

    async def listen(prompt: str, name: str, key: str) -> None:
        async with Person.of(person.app, name, key) as somebody:
            story = await somebody.story(title=name)
            heard_by[prompt] = await messages(somebody, await somebody.stream(story, prompt))
            assert heard_by[prompt][-1]["scene_id"].startswith(story)

    async with anyio.create_task_group() as crowd:
        for prompt in CROWD:
            crowd.start_soon(listen, prompt, *next(keys))
    assert len(heard_by) == 20
    for prompt, got in heard_by.items():
        assert text_of(got) == CROWD[prompt]
        assert " ".join(chunk["sentence_text"] for chunk in of(got, "audio_chunk")) == CROWD[prompt]
        seqs = [message["seq"] for message in got[1:]]
        assert seqs == sorted(set(seqs))
