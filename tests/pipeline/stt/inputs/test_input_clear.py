"""Cleared audio is not transcribed, and nothing before or after it is lost."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.engines.ports import Utterance
from pipeline.engines.scripted_speech_to_text import ScriptedSpeechToText
from tests.support.clients.logged_utterances import numbers, of, questions
from tests.support.clients.native_speaker import (
    BYTES_PER_MS,
    austen,
    calling,
    events_of,
    new_session,
    silence,
)
from tests.support.running_app import RunningApp, app_fixture, running_app, scripted_settings

pytestmark = pytest.mark.anyio
INPUT = "0190163d-8694-739b-aea5-966c26f8ad90"
TEXTS = {1_200: "Taken back.", 2_500: "And this.", 60_000: "Tell me a story."}
STORY = silence(300) + austen()[: 32 * 3_500]
SECRET = silence(300) + austen("0880")[: 32 * 1_000]
MORE = silence(300) + austen("0930")[: 32 * 2_000]
slow = app_fixture(
    llm={"reply": "Yes.", "first_delta_ms": 60_000},
    stt={"by_ms": TEXTS, "per_request_ms": 2_500},
    limits={"rejoin_s": 10},
)
"""A transcriber slower than the speaker, and no answers."""


@pytest.mark.parametrize("record", [True, False])
async def test_speech_before_a_clear_survives_a_broken_connection(slow: RunningApp, record: bool) -> None:
    wish: dict[str, Any] = {"endpointing": {"prefix_padding_ms": 0, "speculate_ms": None}}
    session = await new_session(slow, turn_detection="manual", partials_ms=0, record=record, **wish)
    sound = STORY + SECRET + silence(300) + MORE
    cleared = len(STORY + SECRET)
    async with calling(slow, session) as caller:
        await caller.open(input=INPUT)
        await caller.speak(STORY)
        assert (await caller.answered(type="input.commit"))["type"] == "accepted"
        await caller.speak(SECRET)
        assert (await caller.answered(type="input.clear"))["type"] == "accepted"
        await caller.speak(sound[cleared : cleared + len(silence(300))])
        acked = max([0, *(f["ms"] for f in caller.frames if f["type"] == "input.ack")])
        assert of(caller.events, "transcript.final") == []
        caller.cut()
    async with calling(slow, session) as caller:
        from_ms = (await caller.open(input=INPUT, at_ms=acked))["from_ms"]
        await caller.speak(sound[from_ms * BYTES_PER_MS :])
        assert (await caller.answered(type="input.commit"))["type"] == "accepted"
        assert (await caller.answered(type="input.close"))["type"] == "accepted"
    events = await events_of(slow, session)
    assert [final["text"] for final in of(events, "transcript.final")] == ["Tell me a story.", "And this."]
    assert numbers(events, "transcript.final") == [0, 2]
    assert numbers(events, "speech.discarded") == [1]
    assert questions(events)[-1] == "Tell me a story. And this."


async def test_sound_taken_back_before_it_was_speech_is_no_part_of_later_speech(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []
    push_audio = ScriptedSpeechToText._hear

    def listen(self: ScriptedSpeechToText, utterance: Utterance) -> Any:
        lengths.append(len(utterance.pcm) // BYTES_PER_MS)
        return push_audio(self, utterance)

    monkeypatch.setattr(ScriptedSpeechToText, "_hear", listen)
    long = {"min_speech_ms": 1_000, "prefix_padding_ms": 2_000, "speculate_ms": None}
    session = await new_session(app, turn_detection="manual", partials_ms=0, endpointing=long)
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(silence(2_000) + austen()[32 * 600 : 32 * 1_300])
        assert (await caller.answered(type="input.clear"))["type"] == "accepted"
        await caller.speak(austen()[32 * 600 : 32 * 3_000])
        assert (await caller.answered(type="input.commit"))["type"] == "accepted"
        await caller.event("turn.requested")
    assert lengths
    assert max(lengths) <= 2_400 + 64


async def test_an_engine_without_room_is_asked_again_for_a_comparison(tmp_path: Path) -> None:
    hears, crowded = tmp_path / "hears.json", tmp_path / "crowded.json"
    hears.write_text(json.dumps({"texts": ["Say something."]}))
    crowded.write_text(json.dumps({"texts": ["Say something."], "busy": 2}))
    engines = {"speech_to_text": {"script": hears}, "quality_speech_to_text": {"script": crowded}}
    with running_app(scripted_settings(tmp_path, llm={"reply": "Yes."}, **engines)) as app:
        session = await new_session(app, compare=True)
        async with calling(app, session) as caller:
            await caller.open()
            await caller.speak(STORY + silence(1_200))
            assert (await caller.answered(type="input.close"))["type"] == "accepted"
        assert len(of(await events_of(app, session), "transcript.compared")) == 1
