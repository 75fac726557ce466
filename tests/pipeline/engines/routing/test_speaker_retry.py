"""A server is asked again while nothing was heard, and left alone while it is broken."""

from contextlib import aclosing

import pytest

from pipeline.engines.registry import build_speech_provider
from pipeline.engines.routed import Breaker, Retry, Target
from pipeline.engines.routed_speaker import EncodingSpeaker, RoutedSpeaker, open_speaker
from pipeline.engines.scripted import ScriptedTextToSpeech
from rhapsode.testing.text_to_speech_contract import SENTENCE
from schemas.errors import EngineBusy, EngineDead, EngineError, EngineFailed
from schemas.settings import TextToSpeechSettings
from tests.pipeline.engines.routing.heard_speech import CLOUD, heard
from tests.support.clocks import HandClock
from tests.support.servers.speech_server import FakeSpeechServer

pytestmark = pytest.mark.anyio


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


def guarded(remote: FakeSpeechServer, waits: Waits, *, attempts: int, failures: int = 99) -> RoutedSpeaker:
    given = remote.settings()
    inner = EncodingSpeaker(build_speech_provider("cloud", given), TextToSpeechSettings())
    breaker = Breaker(failures, 10.0, HandClock())
    return RoutedSpeaker([Target("local", inner, Retry(breaker, attempts, waits.sleep, waits.draw))], ())


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
async def test_a_busy_server_is_asked_again_until_it_speaks(remote: FakeSpeechServer, share: float) -> None:
    """Each wait is any part of a limit that doubles, up to four seconds."""
    remote.refusals = [(503, {}), (429, {}), (500, {}), (503, {}), (503, {}), (503, {})]
    speaker = guarded(remote, waits := Waits(share), attempts=7)
    assert await heard(speaker)
    assert len(remote.requests) == 7
    limits = [0.25, 0.5, 1.0, 2.0, 4.0, 4.0]
    assert waits.ranges == [(0.0, limit) for limit in limits]
    assert waits.slept == pytest.approx([share * limit for limit in limits])
    await speaker.aclose()


async def test_it_is_not_asked_more_often_than_allowed(remote: FakeSpeechServer) -> None:
    remote.refusals = [(503, {})] * 5
    speaker = guarded(remote, Waits(), attempts=3)
    with pytest.raises(EngineBusy):
        await heard(speaker)
    assert len(remote.requests) == 3
    await speaker.aclose()


async def test_a_refusal_is_not_repeated(remote: FakeSpeechServer) -> None:
    remote.refusals = [(400, {"detail": "no"})]
    speaker = guarded(remote, waits := Waits(), attempts=3)
    with pytest.raises(EngineFailed):
        await heard(speaker)
    assert (len(remote.requests), waits.slept) == (1, [])
    await speaker.aclose()


async def test_nothing_is_repeated_once_something_was_heard(remote: FakeSpeechServer) -> None:
    remote.chunks = 3
    speaker = guarded(remote, Waits(), attempts=3)
    with pytest.raises(EngineFailed):
        await heard(speaker)
    assert len(remote.requests) == 1
    await speaker.aclose()


# ---------------------------------------------------------------- the breaker


async def test_a_server_that_keeps_failing_is_left_alone(remote: FakeSpeechServer) -> None:
    remote.refusals = [(503, {})] * 9
    speaker = guarded(remote, Waits(), attempts=3, failures=2)
    for _ in range(3):
        with pytest.raises(EngineError):
            await heard(speaker)
    assert len(remote.requests) == 2
    await speaker.aclose()


async def test_refused_sentences_do_not_count_as_failures(remote: FakeSpeechServer) -> None:
    remote.refusals = [(400, {})] * 5
    speaker = guarded(remote, Waits(), attempts=1, failures=2)
    for _ in range(5):
        with pytest.raises(EngineFailed):
            await heard(speaker)
    assert await heard(speaker)
    await speaker.aclose()


async def test_streams_that_are_cut_do_count(remote: FakeSpeechServer) -> None:
    remote.chunks = 2
    speaker = guarded(remote, Waits(), attempts=1, failures=2)
    for _ in range(2):
        with pytest.raises(EngineFailed):
            await heard(speaker)
    with pytest.raises(EngineDead, match="left alone"):
        await heard(speaker)
    await speaker.aclose()


async def test_a_recovered_server_speaks_again_after_its_rest(remote: FakeSpeechServer) -> None:
    clock = HandClock()
    given = {"providers": {"cloud": remote.settings(breaker_failures=2, breaker_reset_s=10)}}
    speaker = await open_speaker(
        ScriptedTextToSpeech(TextToSpeechSettings()), TextToSpeechSettings.model_validate(given), clock=clock
    )
    remote.refusals = [(503, {})] * 2
    for _ in range(3):
        with pytest.raises(EngineFailed):
            await heard(speaker, CLOUD)
    assert len(remote.requests) == 2
    clock.advance(10)
    for _ in range(2):
        assert await heard(speaker, CLOUD)
    assert len(remote.requests) == 4
    await speaker.aclose()


async def test_an_engine_that_leaves_in_the_middle_proves_nothing_and_blocks_nobody(
    remote: FakeSpeechServer,
) -> None:
    clock = HandClock()
    given = remote.settings()
    inner = EncodingSpeaker(build_speech_provider("cloud", given), TextToSpeechSettings())
    breaker = Breaker(1, 10.0, clock)
    speaker = RoutedSpeaker([Target("local", inner, Retry(breaker, 1))], ())
    remote.refusals = [(503, {})]
    with pytest.raises(EngineBusy):
        await heard(speaker)
    clock.advance(10)
    async with aclosing(speaker.speak(SENTENCE, voice="joe")) as items:
        await anext(items)
    assert breaker.state == "half-open"
    assert await heard(speaker)
    assert breaker.state == "closed"
    await speaker.aclose()
