"""Both ways of writing speech down are run again over what a session has heard."""

import asyncio
import io
import json
import wave
from collections.abc import AsyncGenerator, Awaitable, Collection, Coroutine
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from pipeline.engines.ports import Transcript, Utterance
from schemas.errors import EngineFailed
from schemas.ids import SessionId
from schemas.settings.listening_settings import ListeningSettings
from tests.support.clients.native_speaker import austen, calling, events_of, new_session, silence
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio
SAID = "Please tell me a story."


def wav(pcm: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setframerate(16_000)
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.writeframes(pcm)
    return file.getvalue()


async def compared(app: RunningApp, session: str) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(base_url=app.url, timeout=60) as http:
        answer = await http.post(f"/v1/sessions/{session}/comparisons")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/x-ndjson"
        return [json.loads(line) for line in answer.text.splitlines()]


async def uploaded(app: RunningApp, session: str, *, times: int = 1, **query: str) -> dict[str, Any]:
    sound = wav((austen("0880") + silence(1_500)) * times)
    async with httpx.AsyncClient(base_url=app.url, timeout=60) as http:
        answer = await http.post(f"/v1/sessions/{session}/recordings", params=query, content=sound)
        assert answer.status_code == 200, answer.text
        heard: dict[str, Any] = answer.json()
        return heard


async def test_speech_of_a_microphone_is_written_down_again_in_both_ways(app: RunningApp) -> None:
    session = await new_session(app, reply=False)
    async with calling(app, session) as caller:
        await caller.open(reference="please sell me a story")
        await caller.speak(silence(300) + austen() + silence(1_200))
        first = await caller.event("transcript.final")
        await caller.send(type="input.close")
        await caller.event("input.closed")
    before = len(await events_of(app, session))
    *progress, report = await compared(app, session)
    assert {line["type"] for line in progress} == {"progress"}
    assert progress[-1]["at_ms"] == progress[-1]["total_ms"] > 7_000
    assert (report["type"], report["session_id"]) == ("report", session)
    [heard] = report["inputs"]
    [utterance] = heard["utterances"]
    assert utterance["end_ms"] == pytest.approx(first["data"]["end_ms"], abs=64)
    assert [way["text"] for way in utterance["ways"]] == [SAID, SAID]
    assert [way["mode"] for way in heard["ways"]] == ["realtime", "quality"]
    assert [way["word_errors"] for way in heard["ways"]] == [1, 1]
    assert heard["reference_words"] == 5
    assert len(await events_of(app, session)) == before, "a comparison records nothing"


async def test_times_are_those_of_the_sound_and_the_engine_whatever_the_machine_does(app: RunningApp) -> None:
    session = await new_session(
        app, reply=False, endpointing={"hint": False, "silence_ms": 500, "speculate_ms": 200}
    )
    async with calling(app, session) as caller:
        await caller.open()
        await caller.speak(silence(300) + austen() + silence(1_200))
        await caller.event("transcript.final")
        await caller.send(type="input.close")
        await caller.event("input.closed")
    *_, report = await compared(app, session)
    [heard] = report["inputs"]
    realtime, quality = heard["ways"]
    # 500 ms of silence are 16 frames; the text was ready before that, 5 ms after it was asked for.
    assert realtime["after_ms"] == [512.0]
    assert quality["after_ms"] == [517.0]
    assert realtime["requests"] > quality["requests"] == 1


async def test_files_are_heard_again_as_if_they_were_spoken_now(app: RunningApp) -> None:
    session = await new_session(app, reply=False)
    told = await uploaded(app, session, name="austen.wav", reference=SAID)
    *_, report = await compared(app, session)
    [heard] = report["inputs"]
    assert (heard["name"], heard["source"]) == ("austen.wav", "file")
    assert heard["ms"] == pytest.approx(told["ms"], abs=32)
    assert heard["ways"][0]["requests"] > 1, "partial texts are made again, too"
    assert heard["ways"][0]["word_errors"] == 0


async def test_every_input_of_a_session_is_in_the_report(app: RunningApp) -> None:
    session = await new_session(app, reply=False)
    for name in ("one.wav", "two.wav"):
        await uploaded(app, session, name=name)
    *_, report = await compared(app, session)
    assert [each["name"] for each in report["inputs"]] == ["one.wav", "two.wav"]
    assert [each["ways"][0]["word_errors"] for each in report["inputs"]] == [None, None]


class Failing:
    """The quality transcriber, which fails whenever it is asked for the `which` time."""

    def __init__(self, app: RunningApp, monkeypatch: pytest.MonkeyPatch, which: Collection[int]) -> None:
        engine = app.engines["quality_speech_to_text"]
        self._hears, self._which, self._asked = engine.transcribe, which, 0
        monkeypatch.setattr(engine, "transcribe", self._transcribe)

    async def _transcribe(self, utterance: Utterance) -> AsyncGenerator[str | Transcript, None]:
        self._asked += 1
        if self._asked in self._which:
            raise EngineFailed("it slept")
        async with aclosing(self._hears(utterance)) as items:
            async for item in items:
                yield item


async def test_an_utterance_that_fails_costs_itself_and_not_the_report(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await new_session(app, reply=False)
    await uploaded(app, session, times=4, reference=" ".join([SAID] * 4))
    Failing(app, monkeypatch, {2})
    [heard] = (await compared(app, session))[-1]["inputs"]
    assert [each["errors"] for each in heard["utterances"]] == [
        ["", ""],
        ["", "it slept"],
        ["", ""],
        ["", ""],
    ]
    assert [each["ways"][1]["text"] for each in heard["utterances"]] == [SAID, "", SAID, SAID]
    assert heard["utterances"][1]["differences"] == []
    realtime, quality = heard["ways"]
    assert (realtime["failed"], quality["failed"]) == (0, 1)
    assert (realtime["word_errors"], quality["word_errors"]) == (0, 5)
    assert (len(realtime["after_ms"]), len(quality["after_ms"])) == (4, 3)


async def test_a_report_is_given_up_when_an_engine_fails_again_and_again(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await new_session(app, reply=False)
    await uploaded(app, session, times=6)
    Failing(app, monkeypatch, range(1, 100))
    last = (await compared(app, session))[-1]
    assert (last["type"], last["code"], last["message"]) == ("error", "engine.failed", "it slept")


async def test_a_session_that_has_heard_nothing_has_an_empty_report(app: RunningApp) -> None:
    [report] = await compared(app, await new_session(app))
    assert report["inputs"] == []


async def test_a_second_comparison_at_once_is_refused_until_the_first_is_over(app: RunningApp) -> None:
    session = await new_session(app, reply=False)
    await uploaded(app, session)
    assert app.services is not None
    loop = app.loop
    assert loop is not None
    first = app.services.reruns.lines(SessionId(session), ListeningSettings())

    def in_the_app(work: Coroutine[Any, Any, Any]) -> Awaitable[Any]:
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))

    async def begin() -> None:
        await anext(first)

    await in_the_app(begin())
    async with httpx.AsyncClient(base_url=app.url, timeout=60) as http:
        refused = await http.post(f"/v1/sessions/{session}/comparisons")
        assert (refused.status_code, refused.json()["code"]) == (503, "gateway.busy")
        await in_the_app(first.aclose())
        assert (await http.post(f"/v1/sessions/{session}/comparisons")).status_code == 200


async def test_an_unknown_session_cannot_be_compared(app: RunningApp) -> None:
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        answer = await http.post("/v1/sessions/nobody/comparisons")
    assert answer.status_code == 404
