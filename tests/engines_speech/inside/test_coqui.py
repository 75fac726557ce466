"""Coqui itself: the packaged voice in its own network, windows like the whole, and callers in one batch."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soxr
import torch
from TTS.tts.configs.vits_config import VitsArgs, VitsConfig
from TTS.tts.models.vits import Vits

from pipeline.engines.ports import Transcript, Utterance
from pipeline.engines.stt.whisper_whole import build as build_whisper
from pipeline.engines.tts.coqui.coqui_convert import convert
from pipeline.engines.tts.coqui.coqui_device import prepared_device
from pipeline.engines.tts.coqui.coqui_engine import CoquiFrames, CoquiTextToSpeech, SentenceWork, WindowWork
from pipeline.engines.tts.coqui.coqui_vits import VitsVoice
from pipeline.engines.tts.piper_device import NoDevice
from pipeline.engines.weights.prepared_folders import UnusableWeights
from rhapsode.testing.clips import word_errors
from rhapsode.testing.text_to_speech_contract import SENTENCE, TimedTextToSpeechContract, length_ms, spoken
from schemas.errors import EngineDead, EngineFailed
from schemas.settings.listening_settings import QualitySpeechToTextSettings
from tests.contracts.busy_text_to_speech import is_busy_beyond_five, says_that_it_was_shut_down
from tests.engines_speech.inside.conftest import COQUI

pytestmark = pytest.mark.anyio
SAID = "The keeper climbed the stairs and lit the lamp before the storm came in."


@pytest.fixture
async def voice(joe: VitsVoice) -> AsyncGenerator[CoquiTextToSpeech, None]:
    engine = CoquiTextToSpeech(joe, COQUI)
    yield engine
    await engine.aclose()


@pytest.fixture
async def as_on_a_gpu(joe: VitsVoice) -> AsyncGenerator[CoquiTextToSpeech, None]:
    """One thread and batches of four, as a GPU is given its work."""
    engine = CoquiTextToSpeech(joe, COQUI.model_copy(update={"streams": 4}), on_gpu=True)
    yield engine
    await engine.aclose()


class TestCoqui(TimedTextToSpeechContract):
    @pytest.fixture
    def voice(self, voice: CoquiTextToSpeech) -> CoquiTextToSpeech:
        return voice


class TestCoquiInBatches(TimedTextToSpeechContract):
    @pytest.fixture
    def voice(self, as_on_a_gpu: CoquiTextToSpeech) -> CoquiTextToSpeech:
        return as_on_a_gpu


def frames_of(joe: VitsVoice, *texts: str, speed: float = 1.0) -> list[CoquiFrames]:
    sentences = [piece.sentences[0] for text in texts for piece in joe.pronounce(text)]
    return joe.frames([SentenceWork(sentence, "joe", speed) for sentence in sentences])


def test_windows_sound_like_the_whole(joe: VitsVoice) -> None:
    (frames,) = frames_of(joe, SENTENCE)
    (whole,) = joe.samples([WindowWork(frames, 0, frames.count)])
    cuts = pairwise([0, 20, 60, 75, frames.count])
    parts = [joe.samples([WindowWork(frames, start, end)])[0] for start, end in cuts]
    assert np.max(np.abs(np.concatenate(parts) - whole)) < 1e-3


def test_together_they_sound_as_if_alone(joe: VitsVoice) -> None:
    made = frames_of(joe, SENTENCE, "Yes.", SAID)
    windows = [WindowWork(frames, 0, min(80, frames.count)) for frames in made]
    for alone, together in zip(windows, joe.samples(windows), strict=True):
        assert np.max(np.abs(joe.samples([alone])[0] - together)) < 2e-3


def test_sentences_of_one_batch_have_a_pace_of_their_own(joe: VitsVoice) -> None:
    (sentence,) = joe.pronounce(SENTENCE)[0].sentences
    slow, fast = joe.frames([SentenceWork(sentence, "joe", speed) for speed in (0.5, 2.0)])
    assert slow.count > 2 * fast.count
    assert slow.count == slow.per_id.sum()


async def test_whisper_understands_every_word(voice: CoquiTextToSpeech, cache: Path) -> None:
    engine = build_whisper(QualitySpeechToTextSettings(engine="whisper"), cache)
    heard = []
    for text in (SENTENCE, SAID):
        _, chunks = await spoken(voice, text)
        sound = soxr.resample(np.frombuffer(b"".join(chunks), "<i2"), voice.sample_rate, 16_000)
        async with aclosing(engine.transcribe(Utterance(sound.tobytes(), language="en"))) as items:
            *_, last = [item async for item in items]
        assert isinstance(last, Transcript)
        heard.append((text, last.text))
    await engine.aclose()
    assert word_errors(heard) <= 0.05


async def test_callers_who_come_together_are_spoken_for_together(as_on_a_gpu: CoquiTextToSpeech) -> None:
    together = await asyncio.gather(*(spoken(as_on_a_gpu, SENTENCE) for _ in range(4)))
    assert all(len(words) == len(SENTENCE.split()) for words, _ in together)
    assert max(as_on_a_gpu.batches) >= 3


async def test_on_a_cpu_everybody_goes_alone(voice: CoquiTextToSpeech) -> None:
    await asyncio.gather(*(spoken(voice, SENTENCE) for _ in range(2)))
    assert set(voice.batches) == {1}


async def test_more_sentences_than_it_can_queue_are_busy(joe: VitsVoice) -> None:
    tight = CoquiTextToSpeech(joe, COQUI.model_copy(update={"streams": 1}))
    await is_busy_beyond_five(tight, lambda: spoken(tight, SENTENCE))


async def test_a_voice_that_was_shut_down_says_so(joe: VitsVoice) -> None:
    voice = CoquiTextToSpeech(joe, COQUI)
    await says_that_it_was_shut_down(voice, SENTENCE)


async def test_a_caller_that_waits_to_be_read_is_told_as_well(joe: VitsVoice) -> None:
    tight = CoquiTextToSpeech(joe, COQUI.model_copy(update={"streams": 1}))
    sentences = [asyncio.create_task(spoken(tight, SENTENCE)) for _ in range(2)]
    await asyncio.sleep(0)  # both have asked
    await tight.aclose()
    told = await asyncio.gather(*sentences, return_exceptions=True)
    assert [type(one) for one in told] == [EngineDead, EngineDead]


async def test_a_network_that_fails_every_time_is_ill_until_it_does_not(
    voice: CoquiTextToSpeech, joe: VitsVoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = joe._model.waveform_decoder
    with monkeypatch.context() as broken:
        broken.setattr(decoder, "forward", lambda *_, **__: 1 / 0)
        for _ in range(3):
            with pytest.raises(EngineFailed, match="ZeroDivisionError"):
                await spoken(voice, SENTENCE)
        with pytest.raises(EngineDead):
            voice.check()
    await spoken(voice, SENTENCE)
    voice.check()


@pytest.mark.parametrize("text", ["🦊 hi", "1995", "— yes —", "a\n\nb", "\x00 hi", "light\xadhouse \ud800"])
async def test_odd_texts_are_spoken(voice: CoquiTextToSpeech, text: str) -> None:
    words, chunks = await spoken(voice, text, speed=2.0)
    assert words
    assert length_ms(voice, chunks) > 100


def untrained(folder: Path, **args: object) -> VitsVoice:
    """A VITS of somebody else's, tiny and without phonemes."""
    torch.manual_seed(0)
    config = VitsConfig(
        model_args=VitsArgs(
            hidden_channels=32, hidden_channels_ffn_text_encoder=32, num_layers_text_encoder=1,
            num_layers_flow=1, upsample_initial_channel_decoder=32, init_discriminator=False,
            num_layers_posterior_encoder=1, **args,
        ),
        use_phonemes=False, text_cleaner="basic_cleaners", test_sentences=[],
    )  # fmt: skip
    torch.save({"model": Vits(config).state_dict(), "step": 0}, folder / "model.pth")
    config.save_json(str(folder / "config.json"))
    return VitsVoice(folder / "model.pth", folder / "config.json", "tiny", "cpu")


async def test_a_checkpoint_of_yours_speaks_by_its_own_characters(tmp_path: Path) -> None:
    voice = CoquiTextToSpeech(untrained(tmp_path), COQUI)
    assert voice.voices == ("tiny",)
    async with aclosing(voice.synthesize("Foxes ran.", voice="tiny")) as stream:
        times, *chunks = [item async for item in stream]
    assert len(times.words) == 2
    assert chunks
    await voice.aclose()


def test_frames_that_would_be_interpolated_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableWeights, match="interpolated"):
        untrained(tmp_path, encoder_sample_rate=11_025)


def test_a_file_that_is_no_piper_voice_cannot_be_converted(tmp_path: Path) -> None:
    voice = tmp_path / "x.onnx"
    voice.write_bytes(b"no network")
    voice.with_name("x.onnx.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UnusableWeights, match="ONNX"):
        convert(voice, tmp_path, lambda _: None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told() -> None:
    with pytest.raises(NoDevice, match="torch sees no GPU"):
        prepared_device(COQUI.model_copy(update={"device": "cuda"}))
