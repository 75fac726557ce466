"""Real voices and texts in many scripts: speech in that language or the marked refusal, never noise."""

import json
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr

from pipeline.audio.opus import RATE
from pipeline.core.clock import SystemClock
from pipeline.delivery.renderings import SentenceRenderer
from pipeline.engines.model_files import FRONTEND, VoiceFiles, voice_files
from pipeline.engines.routed_speaker import RoutedSpeaker, open_speaker
from pipeline.engines.tts import piper_voice
from pipeline.engines.tts.piper import PiperTextToSpeech
from pipeline.engines.tts.piper_voice import Voice
from pipeline.eventlog.recorder import Recorder
from pipeline.stt.vad import FRAME_BYTES, SileroVad
from pipeline.turn.generation import Engines
from pipeline.turn.turn import Turn, TurnPlan
from schemas.errors import LanguageNotSpoken
from schemas.events import SessionStarted
from schemas.events.recorded import Recorded
from schemas.ids import Seq, TurnId, new_session_id
from schemas.languages import language_name
from schemas.settings import SentenceSettings, SessionSettings, TextToSpeechSettings
from tests.pipeline.engines.tts.sentences_in_scripts import SENTENCES, text_of
from tests.support.eventlog.memory_log import MemoryEventLog

pytestmark = [pytest.mark.anyio, pytest.mark.weights]
TURN = TurnId(2)
EACH = SentenceSettings(min_length=1, first_length=None)
"""Every sentence by itself, however short it is."""


@pytest.fixture
async def speaker(piper: PiperTextToSpeech) -> AsyncGenerator[RoutedSpeaker, None]:
    speaker = await open_speaker(piper, TextToSpeechSettings())
    yield speaker
    await speaker.aclose()


async def read_out(text: str, speaker: RoutedSpeaker, language: str = "en") -> list[Recorded]:
    """The events of a turn that reads the text out in a session of this language, fast: less to make."""
    log, session = MemoryEventLog(), new_session_id()
    settings = SessionSettings.model_validate({"language": language, "sentences": EACH, "speech_speed": 4.0})
    async with Recorder(log) as recorder:
        await recorder.post(session, SessionStarted(settings=settings), mode="create")
        writer = recorder.open(session, producer="test", epoch=1)
        plan = TurnPlan(TURN, "text", text, settings)
        turn = Turn(plan, writer, Engines(None, speaker), SystemClock(), sentences_ahead=2)  # type: ignore[arg-type]
        await turn.run(epoch=1)
    return [event for event in await log.read(session, Seq(0), audio=True) if event.turn == TURN]


def of(events: Sequence[Recorded], kind: str) -> list[dict[str, object]]:
    return [event.data for event in events if event.type == kind]


async def test_the_packaged_voice_says_which_language_it_speaks(speaker: RoutedSpeaker) -> None:
    assert speaker.providers == {"local": {"joe": ("en-US",)}}


@pytest.mark.parametrize("language", [name for name in SENTENCES if name != "en"])
async def test_ten_sentences_of_another_script_stay_text_and_say_why(
    language: str, speaker: RoutedSpeaker
) -> None:
    events = await read_out(text_of(language), speaker)
    ready = [one["sentence"] for one in of(events, "sentence.ready")]
    failed = of(events, "sentence.failed")
    assert [one["sentence"] for one in failed] == ready != []
    assert {one["code"] for one in failed} == {LanguageNotSpoken.code}
    assert all(language_name(language) in str(one["message"]) for one in failed)
    assert of(events, "audio.chunk") == of(events, "sentence.voiced") == []
    assert events[-1].type == "turn.completed"


ESPEAK = {"zh": "cmn"} | {
    name: name for name in ("ko", "ru", "ar", "hi", "th", "el", "he", "hy", "am", "bn", "my")
}
"""Names of phonemes of twelve scripts; those of Japanese need a dictionary, and espeak has none of Khmer."""


def with_phonemes_of(
    language: str, folder: Path, joe: Voice, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> PiperTextToSpeech:
    """Joe beside a voice that has his weights and the phonemes of the language."""
    [own] = voice_files(TextToSpeechSettings(), cache)
    config = json.loads(own.config.read_text(encoding="utf-8"))
    config["espeak"]["voice"] = ESPEAK[language]
    file = folder / "native.onnx.json"
    file.write_text(json.dumps(config))

    def loaded(path: Path, _: Sequence[str]) -> Any:
        return joe._frontend if path.name == FRONTEND else joe._decoder

    monkeypatch.setattr(piper_voice, "_session", loaded)
    files = [own, VoiceFiles("native", file, own.folder)]
    return PiperTextToSpeech(files, Voice, TextToSpeechSettings())


def speech_share(events: Sequence[Recorded]) -> float:
    """The share of the sound that the detector of speech takes for speech."""
    renderer = SentenceRenderer("pcm16")
    chunks = [event for event in events if event.type == "audio.chunk"]
    pcm = [
        renderer.render(one.audio or b"", chunk=one.data["chunk"], last=one.data["last"]) for one in chunks
    ]
    sound = soxr.resample(np.frombuffer(b"".join(pcm), "<i2").astype(np.float32), RATE, 16_000)
    heard = sound.round().clip(-32_768, 32_767).astype("<i2").tobytes()
    frames = SileroVad().probabilities(heard[: len(heard) // FRAME_BYTES * FRAME_BYTES])
    return sum(probability > 0.5 for probability in frames) / len(frames)


@pytest.mark.parametrize("language", ESPEAK)
async def test_ten_sentences_of_another_script_are_spoken_where_a_voice_speaks_their_language(
    language: str, joe: Voice, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voices = with_phonemes_of(language, tmp_path, joe, cache, monkeypatch)
    speaker = await open_speaker(voices, TextToSpeechSettings())
    events = await read_out(text_of(language), speaker)
    await speaker.aclose()
    ready = [one["sentence"] for one in of(events, "sentence.ready")]
    assert [one["sentence"] for one in of(events, "sentence.completed")] == ready != []
    assert of(events, "sentence.failed") == []
    assert {one["voice"] for one in of(events, "sentence.voiced")} == {"native"}
    assert speech_share(events) > 0.5


async def test_ten_english_sentences_are_spoken(speaker: RoutedSpeaker) -> None:
    events = await read_out(text_of("en"), speaker)
    assert [one["sentence"] for one in of(events, "sentence.completed")] == list(range(10))
    assert of(events, "sentence.failed") == []


async def test_a_sentence_in_another_language_is_left_out_and_the_next_one_is_spoken(
    speaker: RoutedSpeaker,
) -> None:
    text = (
        "The keeper spoke slowly. 今天天气很好，我们去散步吧。 Then he smiled at us. "
        "Das Wetter ist heute sehr schön. He said 你好 and left."
    )
    events = await read_out(text, speaker)
    assert [one["sentence"] for one in of(events, "sentence.completed")] == [0, 2, 4]
    assert [str(one["message"]) for one in of(events, "sentence.failed")] == [
        "No voice here speaks Chinese (zh).",
        "No voice here speaks German (de).",
    ]


async def test_a_text_in_an_automatic_session_is_in_its_own_language(speaker: RoutedSpeaker) -> None:
    events = await read_out(text_of("ru"), speaker, "auto")
    assert {one["message"] for one in of(events, "sentence.failed")} == {"No voice here speaks Russian (ru)."}
    events = await read_out("The keeper spoke slowly, and then he smiled at all of us.", speaker, "auto")
    assert len(of(events, "sentence.completed")) == 1


async def test_a_foreign_word_in_a_sentence_is_not_named_letter_by_letter(joe: Voice) -> None:
    said, named = "He said 你好 and left.", "He said Chinese letter Chinese letter and left."
    assert joe.pronounce(said)[0].sentences == joe.pronounce("He said NiHao and left.")[0].sentences
    assert joe.pronounce(said)[0].sentences != joe.pronounce(named)[0].sentences
