"""Kokoro and Pocket TTS by the real sherpa-onnx, with networks of some kilobytes."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from pipeline.engines.sherpa.sherpa_speech import SherpaTextToSpeech
from pipeline.engines.sherpa.sherpa_voice import KokoroVoice, PocketVoice, load
from pipeline.engines.weights.prepared_folders import UnusableWeights
from rhapsode.testing.text_to_speech_contract import SENTENCE, TextToSpeechContract, length_ms, spoken
from rhapsode.testing.waiting import eventually
from schemas.errors import EngineDead, EngineFailed
from schemas.settings import TextToSpeechSettings
from tests.support.speech.tiny_models import (
    KOKORO_TOKEN_S,
    POCKET_FRAME_S,
    kokoro_files,
    pocket_files,
    recording,
    written,
)

pytestmark = pytest.mark.anyio
RATE = 24_000


def settings_of(engine: str, folder: Path, **fields: Any) -> TextToSpeechSettings:
    return TextToSpeechSettings.model_validate({"engine": engine, "model_path": str(folder), **fields})


@pytest.fixture(scope="module")
def kokoro_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(kokoro_files(), tmp_path_factory.mktemp("models") / "kokoro")


@pytest.fixture(scope="module")
def pocket_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(pocket_files(), tmp_path_factory.mktemp("models") / "pocket")


@pytest.fixture(scope="module")
def kokoro(kokoro_folder: Path) -> KokoroVoice:
    return KokoroVoice(settings_of("kokoro", kokoro_folder))


@pytest.fixture(scope="module")
def pocket(pocket_folder: Path) -> PocketVoice:
    return PocketVoice(settings_of("pocket", pocket_folder))


@pytest.fixture
async def kokoro_speech(kokoro: KokoroVoice, kokoro_folder: Path) -> AsyncGenerator[SherpaTextToSpeech, None]:
    speech = SherpaTextToSpeech(kokoro, settings_of("kokoro", kokoro_folder))
    yield speech
    await speech.aclose()


@pytest.fixture
async def pocket_speech(pocket: PocketVoice, pocket_folder: Path) -> AsyncGenerator[SherpaTextToSpeech, None]:
    speech = SherpaTextToSpeech(pocket, settings_of("pocket", pocket_folder))
    yield speech
    await speech.aclose()


class TestKokoro(TextToSpeechContract):
    @pytest.fixture
    def voice(self, kokoro_speech: SherpaTextToSpeech) -> SherpaTextToSpeech:
        return kokoro_speech


class TestPocket(TextToSpeechContract):
    @pytest.fixture
    def voice(self, pocket_speech: SherpaTextToSpeech) -> SherpaTextToSpeech:
        return pocket_speech


def tokens(kokoro: KokoroVoice, text: str) -> int:
    """How many phonemes, blanks and marks the network was given, without both ends."""
    return round(len(kokoro.sound(text, "af_heart", lambda: True)) / RATE / KOKORO_TOKEN_S) - 2


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("foxes Xyz", "foxes x y z"),
        ("Ábc one", "a b c one"),
        ("0 one", "zero one"),
        ("one 0a", "one zero a"),
        ('"one" (of)', "one of"),
        ("‘one’ of", "one of"),
        ("one-of—the", "one of the"),
    ],
)
def test_words_that_the_lexicon_lacks_are_spelt_and_marks_cost_no_word(
    kokoro: KokoroVoice, text: str, spelt: str
) -> None:
    assert tokens(kokoro, text) == tokens(kokoro, spelt) > 0


def test_voices_are_those_whose_language_has_a_lexicon(kokoro: KokoroVoice, kokoro_folder: Path) -> None:
    assert kokoro.languages == {"af_heart": ("en",), "zf_xiaobei": ("zh",)}
    assert len(kokoro.sound("你好。早。", "zf_xiaobei", lambda: True)) > 0
    chinese = {name: content for name, content in kokoro_files().items() if name != "lexicon-us-en.txt"}
    only = KokoroVoice(settings_of("kokoro", written(chinese, kokoro_folder.parent / "chinese")))
    assert list(only.languages) == ["zf_xiaobei"]


def test_a_part_that_nobody_waits_for_is_cut_off(pocket: PocketVoice) -> None:
    text = "one of the foxes ran by and the old keeper saw it"
    whole = pocket.sound(text, "bria", lambda: True)
    stopped = pocket.sound(text, "bria", lambda: False)
    assert 0 < len(stopped) < len(whole) / 2
    assert len(whole) / RATE == pytest.approx((len(text) + 5) * POCKET_FRAME_S, rel=0.1)


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.3, 2.5])
async def test_a_speed_is_the_ratio_that_it_says(
    kokoro_speech: SherpaTextToSpeech, pocket_speech: SherpaTextToSpeech, speed: float
) -> None:
    for speech in (kokoro_speech, pocket_speech):
        natural = length_ms(speech, (await spoken(speech, SENTENCE))[1])
        made = length_ms(speech, (await spoken(speech, SENTENCE, speed=speed))[1])
        assert natural / made == pytest.approx(speed, rel=0.01)


async def test_a_word_without_a_pronunciation_is_an_error_instead_of_silence(
    kokoro_speech: SherpaTextToSpeech,
) -> None:
    with pytest.raises(EngineFailed, match="no pronunciation for '世界'"):
        await spoken(kokoro_speech, "世界")


async def test_a_part_without_pronunciation_is_left_out_where_another_one_sounds(
    kokoro_speech: SherpaTextToSpeech,
) -> None:
    alone = b"".join((await spoken(kokoro_speech, SENTENCE))[1])
    both = b"".join((await spoken(kokoro_speech, f"{SENTENCE} 世界."))[1])
    pause = 2 * kokoro_speech.sample_rate * 350 // 1_000  # at most so long within a sentence
    assert both[: len(alone) - pause] == alone[:-pause]
    assert len(both) - len(alone) < pause


async def test_closed_in_the_midst_the_next_sentence_is_spoken_and_shut_down_none_is(
    kokoro_speech: SherpaTextToSpeech,
) -> None:
    async with aclosing(kokoro_speech.synthesize(SENTENCE * 40, voice="af_heart")) as stream:
        await anext(stream)
    await eventually(lambda: kokoro_speech.open_streams == 0)
    assert (await spoken(kokoro_speech, SENTENCE))[1]
    kokoro_speech.check()
    await kokoro_speech.aclose()
    with pytest.raises(EngineDead):
        await spoken(kokoro_speech, SENTENCE)


def test_a_speaker_of_ones_own_comes_first(pocket_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "anna.wav").write_bytes(recording(0.5))
    own = PocketVoice(settings_of("pocket", pocket_folder, speaker_wav=str(tmp_path / "anna.wav")))
    assert list(own.languages) == ["anna", "bria"]
    assert len(own.sound("one of the foxes", "anna", lambda: True)) > 0


@pytest.mark.parametrize(
    ("engine", "name", "content", "message"),
    [
        ("kokoro", "model.int8.onnx", None, r"has no model\*\.onnx"),
        ("kokoro", "model.int8.onnx", b"no network", "is no network of Kokoro"),
        ("kokoro", "voices.bin", b"1234", "not of the same Kokoro model"),
        ("pocket", "lm_main.int8.onnx", b"no network", "cannot be loaded"),
        ("pocket", "vocab.json", b"no json", "cannot be loaded"),
        ("pocket", "bria.wav", b"no sound", "bria.wav of a voice cannot be read"),
        ("pocket", "bria.wav", recording(0.1, seconds=0.5), "shorter than a second"),
        ("pocket", "bria.wav", None, "text_to_speech.speaker_wav"),
    ],
)
def test_files_that_are_no_model_are_refused_by_name(
    tmp_path: Path, engine: str, name: str, content: bytes | None, message: str
) -> None:
    folder = written(kokoro_files() if engine == "kokoro" else pocket_files(), tmp_path)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(UnusableWeights, match=message):
        load(settings_of(engine, folder))


def test_a_model_that_is_not_named_is_asked_for() -> None:
    with pytest.raises(UnusableWeights, match=r"text_to_speech\.model_path is not set"):
        load(TextToSpeechSettings(engine="kokoro"))
