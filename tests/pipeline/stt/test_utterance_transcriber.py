"""An utterance is written down from the same sound, however often that is tried."""

from collections.abc import AsyncGenerator

import anyio
import pytest

from pipeline.engines.ports import Transcribers, Transcript, Utterance
from pipeline.stt.audio_ring_buffer import AudioRingBuffer
from pipeline.stt.evaluation.audio_clock import AudioClock
from pipeline.stt.utterance_transcriber import UtteranceTranscriber
from schemas.errors import EngineDead
from schemas.settings.listening_settings import ListeningSettings
from tests.pipeline.stt.test_audio_ring_buffer import numbered

pytestmark = pytest.mark.anyio


class ForgetfulTranscriber:
    """Fails so often; meanwhile more sound comes in and the old is forgotten. Keeps what it was given."""

    def __init__(self, tape: AudioRingBuffer, fails: int) -> None:
        self._tape = tape
        self._fails = fails
        self.heard: list[bytes] = []

    @property
    def providers(self) -> tuple[str, ...]:
        return ()

    async def transcribe(self, utterance: Utterance) -> AsyncGenerator[str | Transcript, None]:
        self.heard.append(utterance.pcm)
        self._tape.push(numbered(1_000))
        if len(self.heard) <= self._fails:
            raise EngineDead("not now")
        yield Transcript("All words.", "en", "test")

    async def aclose(self) -> None:
        """Nothing to give back."""


async def test_every_attempt_and_the_comparison_hear_the_whole_utterance() -> None:
    tape = AudioRingBuffer(max_ms=1_200)
    tape.push(numbered(1_200))
    engine, clock = ForgetfulTranscriber(tape, fails=2), AudioClock(0.0)
    async with anyio.create_task_group() as tasks:
        scribe = UtteranceTranscriber(
            Transcribers(engine, engine), ListeningSettings(), "en", tape, clock, tasks, 100
        )
        scribe.end(900, 1_050)
        tape.forget(1_050)

        async def write() -> None:
            assert (await scribe.final(900, nobody)).transcript.text == "All words."
            await scribe.otherwise("realtime")
            tasks.cancel_scope.cancel()

        tasks.start_soon(write)
        await clock.until(lambda: len(engine.heard) == 4)
    assert engine.heard == [numbered(1_200)[32 * 100 : 32 * 1_050]] * 4


async def test_sound_after_the_known_end_is_no_part_of_an_utterance() -> None:
    tape = AudioRingBuffer(max_ms=5_000)
    tape.push(numbered(3_000))
    engine, clock = ForgetfulTranscriber(tape, fails=0), AudioClock(0.0)
    async with anyio.create_task_group() as tasks:
        scribe = UtteranceTranscriber(
            Transcribers(engine, engine), ListeningSettings(), "en", tape, clock, tasks, 0
        )
        scribe.end(1_000, 1_000)
        await scribe.final(1_000, nobody)
        again = UtteranceTranscriber(
            Transcribers(engine, engine), ListeningSettings(), "en", tape, clock, tasks, 0
        )
        again.end(1_000, 2_000)
        await again.final(1_000, nobody)
    assert [len(pcm) // 32 for pcm in engine.heard] == [1_000, 1_200]


async def nobody(_text: str, _stable: int, _at_ms: int) -> None:
    """A listener that takes no partial transcripts."""
