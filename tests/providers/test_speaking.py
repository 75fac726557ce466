"""Who speaks when somebody cannot: retries, fallback and the breaker, against real servers of ours."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from pipeline.audio.speaker import EncodingSpeaker
from pipeline.engines.base import AS_CONFIGURED, Delivery, OpusChunk, Speaker, WordTimes
from pipeline.engines.registry import build_speech_provider
from pipeline.engines.scripted import ScriptedTextToSpeech
from pipeline.providers.breaker import Breaker
from pipeline.providers.chain import ChainSpeaker
from pipeline.providers.guard import GuardedSpeaker
from pipeline.providers.open import open_speaker
from schemas.errors import EngineBusy, EngineDead, EngineError, EngineFailed, UnknownProvider, UnknownVoice
from schemas.settings import TextToSpeechSettings
from tests.clocks import HandClock
from tests.contracts.speaker import SpeakerContract
from tests.contracts.text_to_speech import SENTENCE
from tests.eventually import eventually
from tests.speech_server import SpeechHouse, speech_house

pytestmark = pytest.mark.anyio
CLOUD = Delivery(provider="cloud")


@pytest.fixture(scope="module")
def running_other_house() -> Iterator[SpeechHouse]:
    with speech_house() as house:
        yield house


@pytest.fixture
def other_house(running_other_house: SpeechHouse) -> SpeechHouse:
    running_other_house.forget()
    return running_other_house


async def opened(local: ScriptedTextToSpeech, fallback: list[str], **providers: Any) -> ChainSpeaker:
    given = {"engine": "scripted", "providers": providers, "fallback": fallback}
    return await open_speaker(local, TextToSpeechSettings.model_validate(given), clock=HandClock())


@pytest.fixture
def local() -> ScriptedTextToSpeech:
    return ScriptedTextToSpeech(TextToSpeechSettings())


async def heard(
    speaker: Speaker, delivery: Delivery = AS_CONFIGURED, voice: str = "joe", text: str = SENTENCE
) -> list[WordTimes | OpusChunk]:
    async with aclosing(speaker.speak(text, voice=voice, delivery=delivery)) as items:
        return [item async for item in items]


# ---------------------------------------------------------------- trying again


class Waits:
    """Instead of sleeping: what was drawn for each wait, from which range."""

    def __init__(self, share: float = 0.0) -> None:
        self.ranges: list[tuple[float, float]] = []
        self.slept: list[float] = []
        self._share = share

    def draw(self, low: float, high: float) -> float:
        self.ranges.append((low, high))
        return low + (high - low) * self._share

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def guarded(house: SpeechHouse, waits: Waits, *, attempts: int, failures: int = 99) -> GuardedSpeaker:
    given = house.settings()
    inner = EncodingSpeaker(build_speech_provider("cloud", given), TextToSpeechSettings())
    breaker = Breaker(failures, 10.0, HandClock())
    return GuardedSpeaker("cloud", inner, breaker, attempts, sleep=waits.sleep, draw=waits.draw)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
async def test_a_busy_server_is_asked_again_until_it_speaks(house: SpeechHouse, share: float) -> None:
    """Each wait is any part of a limit that doubles, up to four seconds."""
    house.refusals = [(503, {}), (429, {}), (500, {}), (503, {}), (503, {}), (503, {})]
    speaker = guarded(house, waits := Waits(share), attempts=7)
    assert await heard(speaker)
    assert len(house.requests) == 7
    limits = [0.25, 0.5, 1.0, 2.0, 4.0, 4.0]
    assert waits.ranges == [(0.0, limit) for limit in limits]
    assert waits.slept == pytest.approx([share * limit for limit in limits])
    await speaker.aclose()


async def test_it_is_not_asked_more_often_than_allowed(house: SpeechHouse) -> None:
    house.refusals = [(503, {})] * 5
    speaker = guarded(house, Waits(), attempts=3)
    with pytest.raises(EngineBusy):
        await heard(speaker)
    assert len(house.requests) == 3
    await speaker.aclose()


async def test_a_refusal_is_not_repeated(house: SpeechHouse) -> None:
    house.refusals = [(400, {"detail": "no"})]
    speaker = guarded(house, waits := Waits(), attempts=3)
    with pytest.raises(EngineFailed):
        await heard(speaker)
    assert (len(house.requests), waits.slept) == (1, [])
    await speaker.aclose()


async def test_nothing_is_repeated_once_something_was_heard(house: SpeechHouse) -> None:
    house.chunks = 3
    speaker = guarded(house, Waits(), attempts=3)
    with pytest.raises(EngineFailed):
        await heard(speaker)
    assert len(house.requests) == 1
    await speaker.aclose()


# ---------------------------------------------------------------- the breaker


async def test_a_server_that_keeps_failing_is_left_alone(house: SpeechHouse) -> None:
    house.refusals = [(503, {})] * 9
    speaker = guarded(house, Waits(), attempts=3, failures=2)
    for _ in range(3):
        with pytest.raises(EngineError):
            await heard(speaker)
    assert len(house.requests) == 2
    await speaker.aclose()


async def test_refused_sentences_do_not_count_as_failures(house: SpeechHouse) -> None:
    house.refusals = [(400, {})] * 5
    speaker = guarded(house, Waits(), attempts=1, failures=2)
    for _ in range(5):
        with pytest.raises(EngineFailed):
            await heard(speaker)
    assert await heard(speaker)
    await speaker.aclose()


async def test_streams_that_are_cut_do_count(house: SpeechHouse) -> None:
    house.chunks = 2
    speaker = guarded(house, Waits(), attempts=1, failures=2)
    for _ in range(2):
        with pytest.raises(EngineFailed):
            await heard(speaker)
    with pytest.raises(EngineDead, match="left alone"):
        await heard(speaker)
    await speaker.aclose()


async def test_a_recovered_server_speaks_again_after_its_rest(house: SpeechHouse) -> None:
    clock = HandClock()
    given = {"providers": {"cloud": house.settings(breaker_failures=2, breaker_reset_s=10)}}
    speaker = await open_speaker(
        ScriptedTextToSpeech(TextToSpeechSettings()), TextToSpeechSettings.model_validate(given), clock=clock
    )
    house.refusals = [(503, {})] * 2
    for _ in range(3):
        with pytest.raises(EngineFailed):
            await heard(speaker, CLOUD)
    assert len(house.requests) == 2
    clock.advance(10)
    for _ in range(2):
        assert await heard(speaker, CLOUD)
    assert len(house.requests) == 4
    await speaker.aclose()


async def test_who_leaves_in_the_middle_proves_nothing_and_blocks_nobody(house: SpeechHouse) -> None:
    clock = HandClock()
    given = house.settings()
    inner = EncodingSpeaker(build_speech_provider("cloud", given), TextToSpeechSettings())
    breaker = Breaker(1, 10.0, clock)
    speaker = GuardedSpeaker("cloud", inner, breaker, 1)
    house.refusals = [(503, {})]
    with pytest.raises(EngineBusy):
        await heard(speaker)
    clock.advance(10)
    async with aclosing(speaker.speak(SENTENCE, voice="joe")) as items:
        await anext(items)
    assert breaker.state == "half-open"
    assert await heard(speaker)
    assert breaker.state == "closed"
    await speaker.aclose()


# ---------------------------------------------------------------- who speaks


class TestLocalAmongOthers(SpeakerContract):
    @pytest.fixture
    async def speaker(
        self, local: ScriptedTextToSpeech, house: SpeechHouse
    ) -> AsyncGenerator[ChainSpeaker, None]:
        speaker = await opened(local, ["cloud"], cloud=house.settings())
        yield speaker
        await speaker.aclose()


async def test_the_voice_in_this_server_speaks_unless_somebody_else_is_chosen(
    local: ScriptedTextToSpeech, house: SpeechHouse, other_house: SpeechHouse
) -> None:
    speaker = await opened(local, [], cloud=house.settings(), box=other_house.settings(kind="chatterbox"))
    for delivery in (AS_CONFIGURED, Delivery(provider="local"), CLOUD, Delivery(provider="box")):
        await heard(speaker, delivery)
    assert (local.calls, len(house.requests), len(other_house.requests)) == (2, 1, 1)
    await speaker.aclose()


async def test_everybodys_voices_are_listed_those_here_first(
    local: ScriptedTextToSpeech, house: SpeechHouse
) -> None:
    speaker = await opened(local, [], cloud=house.settings(voices=["alloy", "joe"]))
    assert speaker.voices == ("joe", "alto", "alloy")
    assert speaker.providers == {"local": ("joe", "alto"), "cloud": ("joe", "alloy")}
    await speaker.aclose()


async def test_the_fallback_order_is_kept(
    local: ScriptedTextToSpeech, house: SpeechHouse, other_house: SpeechHouse
) -> None:
    speaker = await opened(local, ["box", "local"], cloud=house.settings(), box=other_house.settings())
    house.refusals, other_house.refusals = [(503, {}), (503, {})], [(503, {})]
    assert isinstance((await heard(speaker, CLOUD))[0], WordTimes)
    assert (len(house.requests), len(other_house.requests), local.calls) == (1, 1, 1)
    assert await heard(speaker, CLOUD)
    assert (len(house.requests), len(other_house.requests), local.calls) == (2, 2, 1)
    await speaker.aclose()


async def test_a_voice_that_the_fallback_does_not_have_becomes_its_default(
    local: ScriptedTextToSpeech, house: SpeechHouse, other_house: SpeechHouse
) -> None:
    cloud = house.settings(voices=["alloy"])
    box = other_house.settings(voices=["alto"], default_voice="alto")
    speaker = await opened(local, ["box"], cloud=cloud, box=box)
    house.refusals = [(503, {})] * 2
    for voice in ("alloy", "joe"):
        await heard(speaker, CLOUD, voice=voice)
    assert [asked["voice"] for asked in other_house.requests] == ["alto", "alto"]
    with pytest.raises(UnknownVoice, match="nobody"):
        await heard(speaker, CLOUD, voice="nobody")
    await speaker.aclose()


async def test_nobody_takes_over_after_the_first_sound(
    local: ScriptedTextToSpeech, house: SpeechHouse
) -> None:
    speaker = await opened(local, ["local"], cloud=house.settings())
    house.chunks = 3
    with pytest.raises(EngineFailed, match="broke off"):
        await heard(speaker, CLOUD)
    assert local.calls == 0
    await speaker.aclose()


async def test_when_nobody_can_all_reasons_are_told_and_nobody_is_asked_once_more(
    local: ScriptedTextToSpeech, house: SpeechHouse, other_house: SpeechHouse
) -> None:
    speaker = await opened(local, ["box"], cloud=house.settings(), box=other_house.settings())
    house.refusals, other_house.refusals = [(503, {})], [(422, {"detail": "too sad"})]
    with pytest.raises(EngineFailed) as failed:
        await heard(speaker, CLOUD)
    assert str(failed.value) == "cloud is busy (HTTP 503). box refused this (HTTP 422): too sad"
    assert not failed.value.retryable
    await speaker.aclose()


async def test_an_error_of_the_voice_in_this_server_stays_what_it_is(
    tmp_path: Any, house: SpeechHouse
) -> None:
    script = tmp_path / "script.json"
    script.write_text('{"fail_on": "fox", "fail_code": "engine.busy"}')
    local = ScriptedTextToSpeech(TextToSpeechSettings(script=script))
    speaker = await opened(local, [], cloud=house.settings())
    with pytest.raises(EngineBusy):
        await heard(speaker)
    await speaker.aclose()


async def test_word_times_of_a_voice_that_made_no_sound_are_forgotten(
    tmp_path: Any, house: SpeechHouse
) -> None:
    """The script's first chunk is shorter than a packet: it fails with its times told and nothing heard."""
    script = tmp_path / "script.json"
    script.write_text('{"chunk_ms": 5, "fail_on": "fox", "fail_after_chunks": 1}')
    local = ScriptedTextToSpeech(TextToSpeechSettings(script=script))
    speaker = await opened(local, ["cloud"], cloud=house.settings())
    items = await heard(speaker)
    assert len(house.requests) == 1
    assert all(isinstance(item, OpusChunk) for item in items)
    await speaker.aclose()


async def test_who_is_not_there_cannot_speak(local: ScriptedTextToSpeech) -> None:
    speaker = await opened(local, [])
    with pytest.raises(UnknownProvider, match="local"):
        await heard(speaker, CLOUD)
    await speaker.aclose()


async def test_closing_hangs_up_at_once(local: ScriptedTextToSpeech, house: SpeechHouse) -> None:
    house.chunks, house.stalls = 3, True
    speaker = await opened(local, ["local"], cloud=house.settings())
    async with aclosing(speaker.speak(SENTENCE, voice="joe", delivery=CLOUD)) as items:
        await anext(items)
        assert house.speaking == 1
    await eventually(lambda: (house.speaking, house.hung_up) == (0, 1))
    assert local.calls == 0
    await speaker.aclose()
