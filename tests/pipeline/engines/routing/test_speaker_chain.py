"""Retries, fallback and the breaker of speakers, against real servers of ours."""

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from pipeline.engines.ports import AS_CONFIGURED, EngineResult, OpusChunk, WordTimes
from pipeline.engines.routed_speaker import RoutedSpeaker, open_speaker
from pipeline.engines.scripted import ScriptedTextToSpeech
from rhapsode.testing.text_to_speech_contract import SENTENCE
from schemas.errors import EngineBusy, EngineFailed, LanguageNotSpoken, UnknownProvider, UnknownVoice
from schemas.settings import TextToSpeechSettings
from tests.contracts.speaker import SpeakerContract
from tests.pipeline.engines.routing.heard_speech import CLOUD, heard
from tests.support.clocks import HandClock
from tests.support.eventually import eventually
from tests.support.servers.speech_server import FakeSpeechServer, fake_speech_server

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def running_other_remote() -> Iterator[FakeSpeechServer]:
    with fake_speech_server() as remote:
        yield remote


@pytest.fixture
def other_remote(running_other_remote: FakeSpeechServer) -> FakeSpeechServer:
    running_other_remote.forget()
    return running_other_remote


async def opened(local: ScriptedTextToSpeech, fallback: list[str], **providers: Any) -> RoutedSpeaker:
    given = {"engine": "scripted", "providers": providers, "fallback": fallback}
    return await open_speaker(local, TextToSpeechSettings.model_validate(given), clock=HandClock())


@pytest.fixture
def local() -> ScriptedTextToSpeech:
    return ScriptedTextToSpeech(TextToSpeechSettings())


# ---------------------------------------------------------------- who speaks


class TestLocalAmongOthers(SpeakerContract):
    @pytest.fixture
    async def speaker(
        self, local: ScriptedTextToSpeech, remote: FakeSpeechServer
    ) -> AsyncGenerator[RoutedSpeaker, None]:
        speaker = await opened(local, ["cloud"], cloud=remote.settings())
        yield speaker
        await speaker.aclose()


async def test_the_voice_in_this_server_speaks_unless_somebody_else_is_chosen(
    local: ScriptedTextToSpeech, remote: FakeSpeechServer, other_remote: FakeSpeechServer
) -> None:
    speaker = await opened(local, [], cloud=remote.settings(), box=other_remote.settings(kind="chatterbox"))
    for delivery in (AS_CONFIGURED, EngineResult(provider="local"), CLOUD, EngineResult(provider="box")):
        await heard(speaker, delivery)
    assert (local.calls, len(remote.requests), len(other_remote.requests)) == (2, 1, 1)
    await speaker.aclose()


async def test_everybodys_voices_are_listed_those_here_first(
    local: ScriptedTextToSpeech, remote: FakeSpeechServer
) -> None:
    speaker = await opened(local, [], cloud=remote.settings(voices=["alloy", "joe"]))
    assert speaker.voices == ("joe", "alto", "alloy")
    assert {name: tuple(voices) for name, voices in speaker.providers.items()} == {
        "local": ("joe", "alto"),
        "cloud": ("joe", "alloy"),
    }
    await speaker.aclose()


async def test_the_fallback_order_is_kept(
    local: ScriptedTextToSpeech, remote: FakeSpeechServer, other_remote: FakeSpeechServer
) -> None:
    speaker = await opened(local, ["box", "local"], cloud=remote.settings(), box=other_remote.settings())
    remote.refusals, other_remote.refusals = [(503, {}), (503, {})], [(503, {})]
    assert isinstance((await heard(speaker, CLOUD))[0], WordTimes)
    assert (len(remote.requests), len(other_remote.requests), local.calls) == (1, 1, 1)
    assert await heard(speaker, CLOUD)
    assert (len(remote.requests), len(other_remote.requests), local.calls) == (2, 2, 1)
    await speaker.aclose()


async def test_a_voice_that_the_fallback_does_not_have_becomes_its_default(
    local: ScriptedTextToSpeech, remote: FakeSpeechServer, other_remote: FakeSpeechServer
) -> None:
    cloud = remote.settings(voices=["alloy"])
    box = other_remote.settings(voices=["alto"], default_voice="alto")
    speaker = await opened(local, ["box"], cloud=cloud, box=box)
    remote.refusals = [(503, {})] * 2
    for voice in ("alloy", "joe"):
        await heard(speaker, CLOUD, voice=voice)
    assert [asked["voice"] for asked in other_remote.requests] == ["alto", "alto"]
    with pytest.raises(UnknownVoice, match="nobody"):
        await heard(speaker, CLOUD, voice="nobody")
    await speaker.aclose()


async def test_no_engine_takes_over_after_the_first_sound(
    local: ScriptedTextToSpeech, remote: FakeSpeechServer
) -> None:
    speaker = await opened(local, ["local"], cloud=remote.settings())
    remote.chunks = 3
    with pytest.raises(EngineFailed, match="broke off"):
        await heard(speaker, CLOUD)
    assert local.calls == 0
    await speaker.aclose()


async def test_when_nobody_can_all_reasons_are_told_and_nobody_is_asked_once_more(
    local: ScriptedTextToSpeech, remote: FakeSpeechServer, other_remote: FakeSpeechServer
) -> None:
    speaker = await opened(local, ["box"], cloud=remote.settings(), box=other_remote.settings())
    remote.refusals, other_remote.refusals = [(503, {})], [(422, {"detail": "too sad"})]
    with pytest.raises(EngineFailed) as failed:
        await heard(speaker, CLOUD)
    assert str(failed.value) == "cloud is busy (HTTP 503). box refused this (HTTP 422): too sad"
    assert not failed.value.retryable
    await speaker.aclose()


async def test_an_error_of_the_voice_in_this_server_stays_what_it_is(
    tmp_path: Any, remote: FakeSpeechServer
) -> None:
    script = tmp_path / "script.json"
    script.write_text('{"fail_on": "fox", "fail_code": "engine.busy"}')
    local = ScriptedTextToSpeech(TextToSpeechSettings(script=script))
    speaker = await opened(local, [], cloud=remote.settings())
    with pytest.raises(EngineBusy):
        await heard(speaker)
    await speaker.aclose()


async def test_word_times_of_a_voice_that_made_no_sound_are_forgotten(
    tmp_path: Any, remote: FakeSpeechServer
) -> None:
    """The script's first chunk is shorter than a packet: it fails with its times told and nothing heard."""
    script = tmp_path / "script.json"
    script.write_text('{"chunk_ms": 5, "fail_on": "fox", "fail_after_chunks": 1}')
    local = ScriptedTextToSpeech(TextToSpeechSettings(script=script))
    speaker = await opened(local, ["cloud"], cloud=remote.settings())
    items = await heard(speaker)
    assert len(remote.requests) == 1
    assert all(isinstance(item, OpusChunk) for item in items)
    await speaker.aclose()


async def test_a_voice_that_is_not_there_cannot_speak(local: ScriptedTextToSpeech) -> None:
    speaker = await opened(local, [])
    with pytest.raises(UnknownProvider, match="local"):
        await heard(speaker, CLOUD)
    await speaker.aclose()


async def test_closing_hangs_up_at_once(local: ScriptedTextToSpeech, remote: FakeSpeechServer) -> None:
    remote.chunks, remote.stalls = 3, True
    speaker = await opened(local, ["local"], cloud=remote.settings())
    async with aclosing(speaker.speak(SENTENCE, voice="joe", delivery=CLOUD)) as items:
        await anext(items)
        assert remote.speaking == 1
    await eventually(lambda: (remote.speaking, remote.hung_up) == (0, 1))
    assert local.calls == 0
    await speaker.aclose()


# ---------------------------------------------------------------- languages


ENGLISH_ONLY = {"languages": ["en-US"]}


def said_in(language: str, *, usual: str = "en", provider: str | None = None) -> EngineResult:
    return EngineResult(provider=provider, language=language, usual_language=usual)


@pytest.fixture
def english(local: ScriptedTextToSpeech, tmp_path: Path) -> ScriptedTextToSpeech:
    script = tmp_path / "speech.json"
    script.write_text(json.dumps(ENGLISH_ONLY))
    return ScriptedTextToSpeech(TextToSpeechSettings(script=script))


async def test_a_sentence_goes_to_a_voice_that_speaks_its_language(
    english: ScriptedTextToSpeech, remote: FakeSpeechServer, other_remote: FakeSpeechServer
) -> None:
    cloud = remote.settings(voices=["joe", "alto"], voice_languages={"joe": ["zh"], "alto": ["ja"]})
    box = other_remote.settings(languages=["de", "fr-CA"])
    speaker = await opened(english, ["cloud"], cloud=cloud, box=box)
    for delivery in (said_in("en"), said_in("zh"), said_in("de"), said_in("ja", provider="cloud")):
        await heard(speaker, delivery)
    assert english.calls == 1
    assert [asked["voice"] for asked in remote.requests] == ["joe", "alto"]
    assert [asked["voice"] for asked in other_remote.requests] == ["joe"]
    await speaker.aclose()


async def test_a_sentence_that_no_voice_speaks_is_refused_by_its_language(
    english: ScriptedTextToSpeech, remote: FakeSpeechServer
) -> None:
    speaker = await opened(english, ["cloud"], cloud=remote.settings(languages=["de"]))
    with pytest.raises(LanguageNotSpoken, match=r"Chinese \(zh-Hant\)") as refused:
        await heard(speaker, said_in("zh-Hant"))
    assert (refused.value.code, refused.value.retryable) == ("voice.language", False)
    assert (english.calls, remote.requests) == (0, [])
    await speaker.aclose()


async def test_a_provider_that_does_not_say_what_it_speaks_is_asked_for_the_sessions_language_only(
    english: ScriptedTextToSpeech, remote: FakeSpeechServer, other_remote: FakeSpeechServer
) -> None:
    speaker = await opened(english, [], cloud=remote.settings())
    await heard(speaker, said_in("de-AT", usual="de", provider="cloud"))
    with pytest.raises(LanguageNotSpoken):
        await heard(speaker, said_in("fr", usual="de", provider="cloud"))
    assert len(remote.requests) == 1
    await speaker.aclose()
    everything = await opened(english, [], box=other_remote.settings(languages=["*"]))
    await heard(everything, said_in("fr"))
    assert len(other_remote.requests) == 1
    await everything.aclose()
