"""Engines, the log, limits and connections fail while somebody speaks: it is told, and nothing is lost."""

import json
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from pipeline.engines.ports import Transcript, Utterance
from tests.pipeline.stt.inputs.failing_app import SPEECH, TEXT, an_app
from tests.support.clients.logged_utterances import of
from tests.support.clients.native_speaker import calling, events_of, new_session
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    with an_app(tmp_path_factory.mktemp("luck")) as running:
        yield running


# ---------------------------------------------------------------- engines


@pytest.mark.parametrize("mode", ["realtime", "quality"])
@pytest.mark.parametrize("trouble", [{"fail_times": 1, "fail_code": "engine.dead"}, {"busy": 2}])
async def test_an_engine_that_is_away_for_a_moment_costs_no_word(
    tmp_path: Path, trouble: dict[str, Any], mode: str
) -> None:
    with an_app(tmp_path, stt=trouble) as app:
        session = await new_session(app, mode=mode, partials_ms=0)
        async with calling(app, session) as caller:
            await caller.open()
            await caller.speak(SPEECH)
            await caller.event("turn.completed")
    [final] = of(caller.events, "transcript.final")
    assert (final["text"], final["mode"]) == (TEXT, mode)
    assert of(caller.events, "transcript.failed") == []


@pytest.mark.parametrize(("mode", "other"), [("realtime", "quality"), ("quality", "realtime")])
async def test_where_one_way_fails_the_other_one_is_asked(tmp_path: Path, mode: str, other: str) -> None:
    scripts = {"fails": {"fail_times": 1_000}, "hears": {"texts": [TEXT]}}
    paths = {name: tmp_path / f"{name}.json" for name in scripts}
    for name, path in paths.items():
        path.write_text(json.dumps(scripts[name]))
    engines = {
        "speech_to_text": {"script": paths["fails" if mode == "realtime" else "hears"]},
        "quality_speech_to_text": {"script": paths["fails" if mode == "quality" else "hears"]},
    }
    with running_app(scripted_settings(tmp_path, llm={"reply": "Something."}, **engines)) as app:
        session = await new_session(app, mode=mode)
        async with calling(app, session) as caller:
            await caller.open()
            await caller.speak(SPEECH)
            await caller.event("turn.completed")
    [final] = of(caller.events, "transcript.final")
    assert (final["text"], final["mode"]) == (TEXT, other)


@pytest.mark.parametrize("code", ["engine.failed", "engine.dead", "engine.busy"])
async def test_an_engine_that_always_fails_is_told_for_each_utterance_and_the_next_is_tried(
    tmp_path: Path, code: str
) -> None:
    with an_app(tmp_path, stt={"fail_times": 1_000, "fail_code": code}) as app:
        session = await new_session(app, compare=True)
        async with calling(app, session) as caller:
            await caller.open()
            await caller.speak(SPEECH + SPEECH)
            failed = await caller.event("transcript.failed", count=2)
            assert (await caller.answered(type="input.close"))["type"] == "accepted"
        events = await events_of(app, session)
    assert failed["data"]["code"] == code
    assert failed["data"]["message"]
    assert of(events, "turn.requested") == []
    assert [each["utterance"] for each in of(events, "transcript.failed")] == [0, 1]


Saying = Callable[[Utterance], AsyncGenerator[str | Transcript, None]]


def listen_by(app: RunningApp, saying: Saying, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both transcribers say so."""
    for name in ("speech_to_text", "quality_speech_to_text"):
        monkeypatch.setattr(app.engines[name], "transcribe", saying)


async def test_speech_to_text_that_raises_anything_at_all_costs_one_utterance(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def bewildered(_: Utterance) -> AsyncGenerator[str | Transcript, None]:
        yield "in confidence"
        raise KeyError("what was said in confidence")

    caplog.set_level(logging.DEBUG)
    with an_app(tmp_path) as app:
        session = await new_session(app)
        async with calling(app, session) as caller:
            await caller.open()
            with monkeypatch.context() as meanwhile:
                listen_by(app, bewildered, meanwhile)
                await caller.speak(SPEECH)
                failed = await caller.event("transcript.failed")
            await caller.speak(SPEECH)
            final = await caller.event("transcript.final")
    assert (failed["data"]["code"], final["data"]["text"]) == ("engine.failed", TEXT)
    assert "KeyError" in caplog.text
    assert "confidence" not in caplog.text + str(failed)


async def test_half_a_character_from_speech_to_text_harms_no_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def halved(_: Utterance) -> AsyncGenerator[str | Transcript, None]:
        yield "A \ud800"
        yield Transcript("A \ud800 story.", "en", "a transcriber")

    with an_app(tmp_path) as app:
        listen_by(app, halved, monkeypatch)
        session = await new_session(app, compare=True)
        async with calling(app, session) as caller:
            await caller.open()
            await caller.speak(SPEECH)
            final = await caller.event("transcript.final")
            await caller.event("turn.completed")
    assert final["data"]["text"] == "A \ufffd story."


async def test_a_queue_without_room_is_told_and_the_speech_is_kept(tmp_path: Path) -> None:
    stt = {"per_request_ms": 400}
    crowded = {"workers": 1, "queued": 1}
    with an_app(tmp_path, stt=stt, speech_to_text=crowded, quality_speech_to_text={"queued": 1}) as app:
        session = await new_session(app, reply=False, partials_ms=0)
        async with calling(app, session) as caller, anyio.create_task_group() as many:

            async def speak() -> None:
                async with calling(app, session) as other:
                    name = (await other.open())["input"]
                    await other.speak(SPEECH)
                    assert (await other.answered(type="input.close"))["type"] == "accepted"
                    await caller.event("input.closed", input=name)

            for _ in range(6):
                many.start_soon(speak)
        events = await events_of(app, session)
    written, failed = of(events, "transcript.final"), of(events, "transcript.failed")
    assert len(written) + len(failed) == 6
    assert {each["code"] for each in failed} <= {"engine.busy"}


async def test_an_unknown_provider_is_told(app: RunningApp) -> None:
    """The settings are the user's; what they name may be gone."""
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        wish = {"settings": {"listening": {"provider": "nobody"}}}
        answer = await http.post("/v1/sessions", json=wish)
    assert answer.status_code == 422
    problem = answer.json()
    assert (problem["code"], problem["field"]) == ("provider.unknown", "settings.listening.provider")


# ---------------------------------------------------------------- limits


async def test_a_replica_that_listens_to_enough_refuses_the_next_and_goes_on(tmp_path: Path) -> None:
    with an_app(tmp_path, limits={"inputs": 1}) as app:
        session = await new_session(app)
        async with calling(app, session) as first, calling(app, session) as second:
            await first.open()
            refusal = await second.answered(type="input.open")
            assert (refusal["code"], refusal["retryable"]) == ("gateway.busy", True)
            await first.speak(SPEECH)
            await first.event("transcript.final")
            assert (await first.answered(type="input.close"))["type"] == "accepted"
            await second.open()


async def test_a_question_beyond_a_limit_is_written_down_and_told(tmp_path: Path) -> None:
    limits = {"everybody": {"turns_per_minute": 1}}
    with an_app(tmp_path, limits=limits) as app:
        session = await new_session(app)
        async with calling(app, session) as caller:
            await caller.open()
            await caller.speak(SPEECH)
            await caller.event("turn.completed")
            await caller.speak(SPEECH)
            refusal = await caller.frame("error")
            await caller.event("transcript.final", count=2)
        events = await events_of(app, session)
    assert (refusal["code"], refusal["ref"], refusal["retryable"]) == ("limit.turns", "input", True)
    assert [each["taken"] for each in of(events, "transcript.final")] == ["turn", "noted"]
    assert len(of(events, "turn.requested")) == 1


async def test_a_full_session_says_so(tmp_path: Path) -> None:
    with an_app(tmp_path, log={"max_session_bytes": 20_000}) as app:
        session = await new_session(app, reply=False)
        async with calling(app, session) as caller:
            await caller.open()
            with suppress(ConnectionClosed):  # it may be shown the door in mid-word
                await caller.speak(SPEECH * 4)
            refusal = await caller.frame("error")
            assert await caller.dismissed() == 4409
    assert refusal["code"] == "session.quota"
