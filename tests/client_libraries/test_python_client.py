"""The Python client against a gateway: answers, resumed events, sound, microphones, and the blocking form."""

import random
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from rhapsode import ApiError, AsyncRhapsode, Rhapsode, audio_devices
from tests.support.clients.native_speaker import austen, silence
from tests.support.cutting_relay import cutting_relay
from tests.support.running_app import RunningApp, running_app, scripted_settings

STORY = "The keeper lit the lamp. The fox came in from the rain and lay down. They were friends at last."


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    settings = scripted_settings(
        tmp_path_factory.mktemp("client"), llm={"reply": STORY, "delta_chars": 4, "per_delta_ms": 5}
    )
    with running_app(settings) as running:
        yield running


@pytest.mark.anyio
async def test_a_prompt_is_answered_in_deltas(app: RunningApp) -> None:
    async with AsyncRhapsode(app.url) as client:
        session = await client.create(title="A story", speak=False)
        turn = await session.ask("Tell me a story")
        deltas = [delta async for delta in turn.deltas()]
        assert "".join(deltas) == STORY
        assert len(deltas) > 3
        assert (await session.view())["title"] == "A story"
        assert await client.ask("Once more", speak=False) == STORY
        assert await client.ask("In brief", speak=False, max_tokens=10) == "The keeper lit the lamp. "


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(4))
async def test_connections_that_break_at_any_byte_lose_and_double_no_event(
    app: RunningApp, seed: int
) -> None:
    async with AsyncRhapsode(app.url) as direct:
        session = await direct.create()
        turn = await session.ask("x")
        after = random.Random(seed).randrange(300, 4_000)
        async with (
            cutting_relay(app.url, after_bytes=after, cuts=4) as (url, broken),
            AsyncRhapsode(url) as client,
        ):
            events = [
                event async for event in client.session(session.id).events(turn=turn.number, audio="pcm16")
            ]
        assert broken
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert events[-1].type == "turn.completed"
        assert all(bool(event.audio) == (event.type == "audio.chunk") for event in events)
        again = [event async for event in session.events(turn=turn.number, audio="pcm16")]
        assert again == events


@pytest.mark.anyio
async def test_events_go_on_after_a_sequence_number_and_a_fork_has_the_past(app: RunningApp) -> None:
    async with AsyncRhapsode(app.url) as client:
        session = await client.create(speak=False)
        await (await session.ask("x")).text()
        whole = [event async for event in session.events(follow=False)]
        rest = [event async for event in session.events(3, follow=False)]
        assert rest == whole[3:]
        fork = await session.fork(at=2)
        assert [event.type for event in whole[:2]] == [
            event.type async for event in fork.events(follow=False) if event.seq <= 2
        ]
        await fork.delete()
        with pytest.raises(ApiError) as gone:
            await fork.view()
        assert gone.value.status in (404, 410)


@pytest.mark.anyio
async def test_a_refusal_names_its_code_and_field(app: RunningApp) -> None:
    async with AsyncRhapsode(app.url) as client:
        with pytest.raises(ApiError) as refused:
            await client.create(speech_speed=99)
        assert (refused.value.status, refused.value.field) == (422, "settings.speech_speed")
        with pytest.raises(ApiError) as absent:
            _ = [event async for event in client.session("0199a2b4-6c1e-7d1a-8f00-5b7a3c2d1e0f").events()]
        assert absent.value.code == "session.not_found"


@pytest.mark.anyio
async def test_the_loudspeaker_gets_every_sample(
    app: RunningApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played, script = tmp_path / "played.pcm", tmp_path / "aplay"
    script.write_text(f'#!/bin/sh\ncat > "{played}"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(audio_devices, "find", lambda: "aplay")
    async with AsyncRhapsode(app.url) as client:
        session = await client.create()
        turn = await session.say("Good morning to all of you.")
        await turn.speak()
        assert await session.save_audio(tmp_path / "made.pcm", "pcm16") == len(played.read_bytes()) > 0


@pytest.mark.anyio
@pytest.mark.parametrize("cuts", [0, 3])
async def test_a_microphone_is_transcribed_and_answered_also_when_connections_break(
    app: RunningApp, cuts: int
) -> None:
    speech = austen() + silence(1_000)

    async def sound() -> AsyncGenerator[bytes, None]:
        for at in range(0, len(speech), 3_200):
            yield speech[at : at + 3_200]

    async with (
        cutting_relay(app.url, after_bytes=900, cuts=cuts) as (url, broken),
        AsyncRhapsode(url) as client,
    ):
        session = await client.create(speak=False)
        types, ms = [], 0
        async with aclosing(session.listen(sound())) as events:
            async for event in events:
                types.append(event.type)
                if event.type == "input.audio":
                    ms = max(ms, event.data["at_ms"] + event.data["ms"])
    assert len(broken) == cuts
    assert types[-1] == "input.closed"
    assert "transcript.final" in types
    assert abs(ms - len(speech) // 32) < 100


def test_the_blocking_client_does_the_same(app: RunningApp, tmp_path: Path) -> None:
    with Rhapsode(app.url) as client:
        session = client.create(title="Blocking")
        turn = session.ask("x")
        assert "".join(turn.deltas()) == turn.text() == STORY
        first = next(iter(session.events()))
        assert (first.seq, first.type) == (1, "session.started")
        assert "joe" in client.voices()["voices"]
        assert session.save_audio(tmp_path / "answer.wav") > 1_000
        with pytest.raises(ApiError, match="less than or equal"):
            session.change(speech_speed=99)
        assert client.ask("y", speak=False) == STORY
