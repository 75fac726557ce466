"""Voices behind HTTP, against a real server of ours: what they ask, what they understand, how they fail."""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.engines.ports import EngineResult
from pipeline.engines.registry import build_speech_provider
from pipeline.engines.tts.remote_voice import RemoteVoice
from rhapsode.testing.text_to_speech_contract import SENTENCE, TextToSpeechContract, length_ms, spoken
from schemas.errors import EngineBusy, EngineDead, EngineError, EngineFailed
from schemas.settings.provider_settings import SpeechProviderSettings
from tests.support.eventually import eventually
from tests.support.servers.speech_server import FakeSpeechServer, Wire

pytestmark = pytest.mark.anyio
KEY = "sk-very-secret-0123456789"


@pytest.fixture
async def cloud(remote: FakeSpeechServer) -> AsyncGenerator[RemoteVoice, None]:
    voice = build_speech_provider("cloud", remote.settings())
    yield voice
    await voice.aclose()


async def failure(voice: RemoteVoice, delivery: EngineResult | None = None) -> tuple[EngineError, int]:
    """How a sentence fails, and how many pieces were heard before."""
    heard = 0
    sound = voice.synthesize(SENTENCE, voice="joe", delivery=delivery or EngineResult())
    try:
        async with aclosing(sound) as pieces:
            async for _ in pieces:
                heard += 1
    except EngineError as error:
        return error, heard
    pytest.fail("It did not fail.")


class TestOpenAI(TextToSpeechContract):
    @pytest.fixture(params=["pcm", "wav", "mp3", "sse"])
    def voice(
        self, remote: FakeSpeechServer, cloud: RemoteVoice, request: pytest.FixtureRequest
    ) -> RemoteVoice:
        remote.wire = request.param
        return cloud


class TestChatterbox(TextToSpeechContract):
    @pytest.fixture(params=["speech", "tts"])
    async def voice(
        self, remote: FakeSpeechServer, request: pytest.FixtureRequest
    ) -> AsyncGenerator[RemoteVoice, None]:
        given = remote.settings(kind="chatterbox", api=request.param)
        voice = build_speech_provider("box", given)
        yield voice
        await voice.aclose()


# ---------------------------------------------------------------- what is asked


async def test_an_openai_server_is_asked_for_pcm_and_for_nothing_it_might_not_know(
    remote: FakeSpeechServer, cloud: RemoteVoice
) -> None:
    await spoken(cloud, "Fox.", speed=1.5)
    assert remote.requests == [
        {"model": "tts-1", "input": "Fox.", "voice": "joe", "speed": 1.5, "response_format": "pcm"}
    ]


@pytest.mark.parametrize(("api", "path"), [("speech", "/v1/audio/speech"), ("tts", "/tts")])
async def test_a_chatterbox_server_is_asked_to_stream(remote: FakeSpeechServer, api: str, path: str) -> None:
    voice = build_speech_provider(
        "box", remote.settings(kind="chatterbox", api=api, extra={"cfg_weight": 0.4})
    )
    _, chunks = await spoken(voice, SENTENCE)
    assert (remote.paths, len(chunks) > 1) == ([path], True)
    assert remote.requests[0].get("stream_format") == "sse" or remote.requests[0].get("stream") is True
    assert remote.requests[0]["cfg_weight"] == 0.4
    await voice.aclose()


async def test_a_server_that_knows_one_speed_only_is_as_fast_as_is_wished(remote: FakeSpeechServer) -> None:
    voice = build_speech_provider("box", remote.settings(kind="chatterbox", api="speech"))
    lengths = [length_ms(voice, (await spoken(voice, SENTENCE, speed=speed))[1]) for speed in (1.0, 2.0, 0.5)]
    assert [asked["speed"] for asked in remote.requests] == [1.0] * 3
    assert lengths[0] / lengths[1] == pytest.approx(2.0, rel=0.03)
    assert lengths[0] / lengths[2] == pytest.approx(0.5, rel=0.03)
    await voice.aclose()


async def test_extra_parameters_add_and_tune_but_never_replace_what_we_ask(remote: FakeSpeechServer) -> None:
    given = remote.settings(extra={"exaggeration": 0.5, "response_format": "wav"})
    voice = build_speech_provider("cloud", given)
    extra: dict[str, str | int | float | bool] = {
        "exaggeration": 0.9,
        "seed": 7,
        "model": "dear",
        "input": "Else.",
        "response_format": "mp3",
    }
    async with aclosing(voice.synthesize("Fox.", voice="joe", delivery=EngineResult(extra=extra))) as pieces:
        assert [piece async for piece in pieces]
    asked = remote.requests[0]
    assert (asked["exaggeration"], asked["seed"]) == (0.9, 7)
    assert (asked["model"], asked["input"], asked["response_format"]) == ("tts-1", "Fox.", "wav")
    await voice.aclose()


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
async def test_the_address_may_end_in_v1_or_not(remote: FakeSpeechServer, ending: str) -> None:
    voice = build_speech_provider("cloud", remote.settings(url=remote.url + ending))
    await spoken(voice, "Fox.")
    assert remote.paths == ["/v1/audio/speech"]
    await voice.aclose()


async def test_a_server_names_its_voices_where_the_settings_do_not(remote: FakeSpeechServer) -> None:
    asked = build_speech_provider("cloud", remote.settings(voices=[], default_voice="nova"))
    told = build_speech_provider("cloud", remote.settings(voices=["nova"]))
    nobody = build_speech_provider("cloud", remote.settings(voices=[], url="http://127.0.0.1:9"))
    for voice in (asked, told, nobody):
        await voice.ask_voices()
        await voice.aclose()
    assert [voice.voices for voice in (asked, told, nobody)] == [
        ("nova", "joe", "alto"),
        ("joe", "nova"),
        ("joe",),
    ]


# ---------------------------------------------------------------- what is understood


@pytest.mark.parametrize("wire", ["pcm", "wav", "mp3", "sse"])
async def test_every_format_says_the_same(remote: FakeSpeechServer, cloud: RemoteVoice, wire: Wire) -> None:
    plain = length_ms(cloud, (await spoken(cloud, SENTENCE))[1])
    remote.wire = wire
    assert length_ms(cloud, (await spoken(cloud, SENTENCE))[1]) == pytest.approx(plain, abs=80)


async def test_sound_is_passed_on_in_pieces_worth_an_event(
    remote: FakeSpeechServer, cloud: RemoteVoice
) -> None:
    remote.chunk_ms = 10
    _, chunks = await spoken(cloud, SENTENCE)
    assert [length_ms(cloud, [chunk]) for chunk in chunks][:-1] == [40, *[200] * (len(chunks) - 2)]


# ---------------------------------------------------------------- how it fails


async def test_a_server_that_is_down_may_be_asked_again(remote: FakeSpeechServer) -> None:
    voice = build_speech_provider("cloud", remote.settings(url="http://127.0.0.1:9"))
    error, _ = await failure(voice)
    assert (type(error), str(error)) == (EngineDead, "cloud cannot be reached.")
    await voice.aclose()


async def test_a_silent_server_may_be_asked_again(remote: FakeSpeechServer) -> None:
    remote.silent = True
    voice = build_speech_provider("cloud", remote.settings(timeout_s=0.05))
    error, _ = await failure(voice)
    assert (type(error), str(error)) == (EngineDead, "cloud was silent for 0.05 s.")
    await voice.aclose()


async def test_a_users_patience_counts_for_more_than_the_servers_settings(
    remote: FakeSpeechServer, cloud: RemoteVoice
) -> None:
    remote.silent = True
    error, _ = await failure(cloud, EngineResult(timeout_s=0.06))
    assert str(error) == "cloud was silent for 0.06 s."


async def test_a_server_that_stops_in_the_middle_has_failed(remote: FakeSpeechServer) -> None:
    remote.chunks, remote.stalls = 2, True
    voice = build_speech_provider("cloud", remote.settings(timeout_s=2))
    error, heard = await failure(voice)
    assert (type(error), error.retryable, heard > 0) == (EngineFailed, False, True)
    await voice.aclose()


@pytest.mark.parametrize("wire", ["pcm", "wav", "mp3", "sse"])
async def test_a_stream_that_is_cut_has_failed(
    remote: FakeSpeechServer, cloud: RemoteVoice, wire: Wire
) -> None:
    remote.wire, remote.chunks = wire, 3
    error, heard = await failure(cloud)
    assert (str(error), heard > 0) == ("cloud broke off in the middle of a sentence.", True)


async def test_a_stream_that_is_cut_before_any_sound_may_be_asked_again(
    remote: FakeSpeechServer, cloud: RemoteVoice
) -> None:
    remote.chunks = 0
    error, heard = await failure(cloud)
    assert (type(error), heard) == (EngineDead, 0)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, EngineBusy), (503, EngineBusy), (500, EngineDead), (502, EngineDead), (400, EngineFailed)],
)
async def test_a_status_says_whether_trying_again_can_help(
    remote: FakeSpeechServer, cloud: RemoteVoice, status: int, kind: type[EngineError]
) -> None:
    remote.refusals = [(status, {"detail": "no"})]
    error, _ = await failure(cloud)
    assert type(error) is kind
    await spoken(cloud, "Fox.")


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "Input is\n too long."}},
        {"detail": "Input is too long."},
        {"detail": [{"loc": ["body", "input"], "msg": "Input is too long."}]},
        {"detail": {"error": {"message": "Input is too long."}}},
        "Input is too long.",
    ],
)
async def test_a_refusal_is_told_in_the_servers_words(
    remote: FakeSpeechServer, cloud: RemoteVoice, body: Any
) -> None:
    remote.refusals = [(422, body)]
    error, _ = await failure(cloud)
    assert str(error) == "cloud refused this (HTTP 422): Input is too long."


async def test_a_long_refusal_is_shortened(remote: FakeSpeechServer, cloud: RemoteVoice) -> None:
    remote.refusals = [(400, {"detail": "x" * 10_000})]
    error, _ = await failure(cloud)
    assert len(str(error)) < 250


async def test_an_answer_that_is_no_sound_is_not_played(remote: FakeSpeechServer, cloud: RemoteVoice) -> None:
    remote.refusals = [(200, {"status": "queued"})]
    error, heard = await failure(cloud)
    assert (type(error), heard) == (EngineFailed, 0)
    assert "application/json" in str(error)


async def test_hanging_up_reaches_the_server_at_once(remote: FakeSpeechServer, cloud: RemoteVoice) -> None:
    remote.chunks, remote.stalls = 2, True
    async with aclosing(cloud.synthesize(SENTENCE, voice="joe")) as pieces:
        await anext(pieces)
        assert remote.speaking == 1
    await eventually(lambda: (remote.speaking, remote.hung_up) == (0, 1))


# ---------------------------------------------------------------- secrets


async def test_the_key_opens_the_door_and_is_seen_nowhere(
    remote: FakeSpeechServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    remote.key = KEY
    given = remote.settings(api_key=KEY)
    voice = build_speech_provider("cloud", given)
    await spoken(voice, "Fox.")
    told = []
    for status in (400, 401, 500):
        remote.refusals = [(status, {"error": {"message": f"Incorrect key {KEY} in {'x' * 190}"}})]
        error, _ = await failure(voice)
        told += [str(error), repr(error), repr(error.__cause__)]
    told += [repr(voice), repr(vars(voice)), repr(given), given.model_dump_json(), caplog.text]
    assert KEY not in "\n".join(told)
    assert "Incorrect key *** in" in told[0]
    await voice.aclose()


async def test_a_wrong_key_is_told_without_the_servers_words(remote: FakeSpeechServer) -> None:
    remote.key = KEY
    voice = build_speech_provider("cloud", remote.settings(api_key="wrong"))
    error, _ = await failure(voice)
    assert str(error) == "cloud does not let us in (HTTP 401): look at its api_key."
    await voice.aclose()


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://x"},
        {"url": "http://user:pass@x"},
        {"url": "http://x:99999"},
        {"url": "http://x?key=1"},
        {"api_key": "two\nlines"},
        {"api_key": ""},
        {"kind": "gramophone"},
    ],
)
def test_settings_that_cannot_work_are_refused_without_repeating_a_key(wrong: dict[str, Any]) -> None:
    given = {"kind": "openai", "url": "http://x", "default_voice": "joe"} | wrong
    with pytest.raises(ValidationError) as refused:
        SpeechProviderSettings.model_validate(given)
    assert "two\nlines" not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "style", "asked"),
    [
        ("openai", "whisper", {"instructions": "Whisper."}),
        ("chatterbox", "calm", {"exaggeration": 0.3}),
        ("chatterbox", "whisper", {}),
    ],
)
async def test_a_style_becomes_what_the_server_knows_or_is_told_to_be_ignored(
    remote: FakeSpeechServer, kind: Any, style: Any, asked: dict[str, Any]
) -> None:
    voice = build_speech_provider("cloud", remote.settings(kind=kind))
    delivery = EngineResult(style=style)
    async with aclosing(voice.synthesize(SENTENCE, voice="joe", delivery=delivery)) as pieces:
        async for _ in pieces:
            pass
    assert {name: remote.requests[0].get(name) for name in asked} == asked
    assert voice.ignored(delivery) == (() if asked else ("style",))
    await voice.aclose()


async def test_a_provider_may_have_parameters_of_its_own_for_a_style(remote: FakeSpeechServer) -> None:
    voice = build_speech_provider("cloud", remote.settings(styles={"sad": {"emotion": "blue"}}))
    delivery = EngineResult(style="sad", instructions="Slowly.")
    async with aclosing(voice.synthesize(SENTENCE, voice="joe", delivery=delivery)) as pieces:
        async for _ in pieces:
            pass
    assert (remote.requests[0]["emotion"], remote.requests[0]["instructions"]) == ("blue", "Slowly.")
    assert voice.ignored(EngineResult(phonemes=((0, 1, "a"),))) == ("phonemes",)
    await voice.aclose()
