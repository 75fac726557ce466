"""Speech that is cut by its length, heard twice or too long is asked once, taken back, or reported."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.engines.scripted_speech_to_text import ScriptedSpeechToText
from pipeline.eventlog.redis.embedded import embedded_server
from schemas.errors import EngineFailed
from schemas.events import SettingsChanged
from schemas.ids import SessionId
from schemas.settings import SessionSettings
from tests.support.clients.logged_utterances import of, questions
from tests.support.clients.native_speaker import austen, calling, events_of, new_session, silence
from tests.support.fixtures.listening_fixtures import ANSWER
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.anyio
INPUT = "0190163d-8694-739b-aea5-966c26f8ad90"
SPEECH = silence(300) + austen()[: 32 * 2_600]
LONG = "What is the capital of France, and how do I get there?"


@contextmanager
def an_app(home: Path, stt: dict[str, Any], **changes: Any) -> Iterator[RunningApp]:
    limits = {"rejoin_s": 0.3, **changes.pop("limits", {})}
    settings = scripted_settings(home, llm={"reply": "Yes."}, stt=stt, limits=limits, **changes)
    with running_app(settings) as app:
        yield app


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """An application for which short speech is no speech."""
    with an_app(tmp_path_factory.mktemp("long"), {"by_ms": {1_500: "", 60_000: LONG}}) as running:
        yield running


async def test_a_cut_utterance_is_asked_when_the_rest_has_no_words(app: RunningApp) -> None:
    session = await new_session(app, endpointing={"max_utterance_s": 2.0, "hint": False})
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(SPEECH + silence(1_500))
        await caller.event("turn.completed")
    events = await events_of(app, session)
    assert [final["taken"] for final in of(events, "transcript.final")] == ["kept", "nothing"]
    assert questions(events) == [LONG]


async def test_a_speaker_who_holds_the_button_in_silence_is_answered_when_it_is_let_go(
    app: RunningApp,
) -> None:
    session = await new_session(app, turn_detection="manual", endpointing={"max_utterance_s": 4.0})
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(SPEECH + silence(4_000))
        await caller.event("transcript.final", taken="kept")
        assert (await caller.answered(type="input.commit"))["type"] == "accepted"
        await caller.event("turn.completed")
        assert (await caller.answered(type="input.commit"))["type"] == "accepted"
    assert questions(await events_of(app, session)) == [LONG]


async def test_a_cut_utterance_is_asked_when_the_rest_cannot_be_written_down(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise EngineFailed("from now on")

    cut = {"max_utterance_s": 2.0, "speculate_ms": None}
    session = await new_session(app, turn_detection="manual", partials_ms=0, endpointing=cut)
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(SPEECH)
        await caller.event("transcript.final", taken="kept")
        monkeypatch.setattr(ScriptedSpeechToText, "_hear", fail)
        assert (await caller.answered(type="input.commit"))["type"] == "accepted"
        await caller.event("transcript.failed")
        await caller.event("turn.requested")
    assert questions(await events_of(app, session)) == [LONG]


@pytest.mark.parametrize("silence_ms", [0, 3_000])
async def test_a_long_utterance_is_taken_back_whole(tmp_path: Path, silence_ms: int) -> None:
    hears = {"texts": ["One secret.", "Another.", "What time is it?"]}
    manual = {"max_utterance_s": 2.0, "speculate_ms": None, "prefix_padding_ms": 0}
    with an_app(tmp_path, hears) as app:
        session = await new_session(app, turn_detection="manual", partials_ms=0, endpointing=manual)
        async with calling(app, session) as caller:
            await caller.open()
            await caller.speak(SPEECH + silence(silence_ms))
            await caller.event("transcript.final", taken="kept")
            assert (await caller.answered(type="input.clear"))["type"] == "accepted"
            await caller.speak(silence(500) + austen("0880")[: 32 * 1_200] + silence(100))
            assert (await caller.answered(type="input.commit"))["type"] == "accepted"
            await caller.event("turn.requested")
        asked = questions(await events_of(app, session))
        assert len(asked) == 1
        assert "secret" not in asked[0]


async def test_a_question_that_is_too_long_is_noted_and_told(tmp_path: Path) -> None:
    with an_app(tmp_path, {"texts": [LONG, "Why?"]}, limits={"prompt_chars": 30}) as app:
        session = await new_session(app)
        async with calling(app, session) as caller:
            await caller.open()
            await caller.speak(SPEECH + silence(1_200))
            refusal = await caller.frame("error")
            await caller.event("transcript.final", taken="noted")
            await caller.speak(austen("0880")[: 32 * 1_800] + silence(1_200))
            await caller.event("turn.requested")
        assert (refusal["code"], refusal["ref"]) == ("input.too_long", "input")
        assert questions(await events_of(app, session)) == ["Why?"]


async def test_a_question_that_is_heard_again_does_not_stop_its_own_answer(tmp_path: Path) -> None:
    """Its first listener was not told that its speaker went elsewhere, and writes it down first."""
    story = {"reply": ANSWER * 6, "delta_chars": 6, "per_delta_ms": 4}
    hears = {"texts": ["Tell me a story."], "per_request_ms": 700}
    settings = scripted_settings(tmp_path, llm=story, stt=hears, limits={"rejoin_s": 5})
    url = {"url": f"unix://{embedded_server.socket_path(tmp_path)}"}
    elsewhere = scripted_settings(tmp_path / "second", llm=story, stt=hears, limits={"rejoin_s": 5}, log=url)
    with running_app(settings) as first, running_app(elsewhere) as second:
        session = await new_session(first, partials_ms=0, endpointing={"speculate_ms": None, "hint": False})
        speech = silence(200) + austen("0880")[: 32 * 1_800] + silence(700)
        async with calling(first, session) as caller, calling(second, session) as again:
            await caller.open(input=INPUT)
            await caller.speak(speech)
            await caller.event("speech.ended")
            acked = max([0, *(f["ms"] for f in caller.frames if f["type"] == "input.ack")])
            from_ms = (await again.open(input=INPUT, at_ms=acked))["from_ms"]
            await again.speak((speech + silence(500))[32 * from_ms :])
            turn = (await again.event("turn.requested"))["seq"]
            assert (await again.answered(type="input.close"))["type"] == "accepted"
            await again.until(lambda event: event["turn"] == turn and event["type"].startswith("turn.c"))
        events = await events_of(first, session)
    assert of(events, "playback.flushed") == of(events, "turn.stop_requested") == []
    assert questions(events) == ["Tell me a story."]


async def test_a_question_in_settings_that_are_not_to_be_had_is_noted_and_told(app: RunningApp) -> None:
    """As those of an imported session may be."""
    session = await new_session(app)
    assert app.services is not None
    assert app.loop is not None
    recorder = app.services.audio_inputs._services.recorder
    posted = recorder.post(SessionId(session), SettingsChanged(settings=SessionSettings(voice="nobody")))
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(posted, app.loop))
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(SPEECH + silence(1_200))
        refusal = await caller.frame("error")
        await caller.event("transcript.final", taken="noted")
    assert (refusal["code"], refusal["ref"]) == ("voice.unknown", "input")
    assert questions(await events_of(app, session)) == []
