"""A voice runs on its device, in its environment, with its weights."""

import json
from pathlib import Path

import pytest

from pipeline.engines.llm.vllm.vllm_environment import vllm_python
from pipeline.engines.model_files import prepare
from pipeline.engines.speech_environment import voice_python
from pipeline.engines.tts.coqui.coqui_weights import checkpoint_of, converted_voice, is_xtts
from pipeline.engines.tts.piper_device import NoDevice, check_is_used, providers_for
from pipeline.engines.weights.prepared_folders import UnusableWeights
from schemas.settings import AppSettings, LanguageModelSettings, TextToSpeechSettings

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def test_piper_takes_the_gpu_only_where_it_is_told_to() -> None:
    assert providers_for("auto", [CUDA, CPU]) == [CPU]
    assert providers_for("cpu", [CUDA, CPU]) == [CPU]
    assert providers_for("cuda", [CUDA, CPU]) == [CUDA, CPU]


def test_a_gpu_that_is_not_there_is_told_with_what_to_do_about_it() -> None:
    with pytest.raises(NoDevice, match="make env-speech-gpu GPU=yes"):
        providers_for("cuda")
    with pytest.raises(NoDevice, match="could not load CUDA"):
        check_is_used([CPU], [CUDA, CPU])
    check_is_used([CUDA, CPU], [CUDA, CPU])


def test_vllm_runs_in_its_environment_beside_the_program() -> None:
    python = vllm_python(LanguageModelSettings(engine="vllm"))
    assert python == Path(__file__).parents[3] / ".venv-vllm" / "bin" / "python"


def test_voices_that_need_torch_or_cuda_run_in_the_environment_for_speech() -> None:
    there = Path(".venv-speech", "bin", "python")
    for settings in (
        TextToSpeechSettings(engine="coqui"),
        TextToSpeechSettings(engine="piper", device="cuda"),
    ):
        python = voice_python(settings)
        assert python is not None
        assert python.is_relative_to(Path(__file__).parents[3])
        assert python.match(str(there))
    assert voice_python(TextToSpeechSettings()) is None
    assert voice_python(TextToSpeechSettings(engine="coqui", device="cpu", python=there)) == there


def test_an_environment_that_is_not_made_is_told_before_anything_starts(tmp_path: Path) -> None:
    voice = TextToSpeechSettings(engine="coqui", python=tmp_path / "python")
    with pytest.raises(UnusableWeights, match="make env-speech-gpu"):
        prepare(AppSettings(text_to_speech=voice, cache=tmp_path))


def test_without_a_checkpoint_the_packaged_voice_is_converted() -> None:
    recipe = converted_voice(TextToSpeechSettings(engine="coqui"))
    assert recipe.name == "coqui-joe"
    assert recipe.source.name == "en_US-joe-medium.onnx"


def test_a_checkpoint_of_yours_is_named_by_its_file_or_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "anna"
    folder.mkdir()
    for name in ("model.pth", "best.pth"):
        (folder / name).touch()
    (folder / "config.json").write_text(json.dumps({"model": "vits"}), encoding="utf-8")
    (folder / "x.json").write_text(json.dumps({"model": "xtts"}), encoding="utf-8")
    of_folder = checkpoint_of(TextToSpeechSettings(engine="coqui", model_path=folder), tmp_path)
    assert (of_folder.name, of_folder.model, is_xtts(of_folder)) == ("anna", folder / "model.pth", False)
    of_file = checkpoint_of(
        TextToSpeechSettings(engine="coqui", model_path=folder / "best.pth", config_path=folder / "x.json"),
        tmp_path,
    )
    assert (of_file.name, of_file.config, is_xtts(of_file)) == ("best", folder / "x.json", True)


@pytest.mark.parametrize(
    ("written", "complaint"),
    [(None, "no file"), ("[]", "no configuration"), ("{", "no configuration"), ('{"model": "bark"}', "bark")],
)
def test_a_checkpoint_that_cannot_speak_is_told(tmp_path: Path, written: str | None, complaint: str) -> None:
    (tmp_path / "model.pth").touch()
    if written is not None:
        (tmp_path / "config.json").write_text(written, encoding="utf-8")
    with pytest.raises(UnusableWeights, match=complaint):
        checkpoint_of(TextToSpeechSettings(engine="coqui", model_path=tmp_path), tmp_path)
