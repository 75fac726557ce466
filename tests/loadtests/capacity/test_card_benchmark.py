"""The benchmark for a card: what it needs, the weights that it makes, and how it judges."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from loadtests.capacity.costs.cost_command import medians
from loadtests.capacity.gpu import random_llama, random_whisper
from loadtests.capacity.gpu.gpu_command import carried, gpu_parsed, missing, report
from loadtests.capacity.gpu.gpu_rows import GpuRow
from pipeline.engines.ports import Transcript, Utterance
from pipeline.engines.registry import build_speech_to_text
from pipeline.engines.stt.whisper_weights import whisper_files
from pipeline.tts.sentence_buffer import SentenceBuffer
from schemas.settings import SentenceSettings, SessionSettings
from schemas.settings.listening_settings import SpeechToTextSettings


@pytest.mark.parametrize("option", ["--speech-to-text", "--ear"])
def test_missing_parts_are_said_with_the_remedy(tmp_path: Path, option: str) -> None:
    arguments = gpu_parsed(["--engine", "vllm", "--voice", "coqui", option, "whisperx"])
    said = "\n".join(missing(arguments, tmp_path))
    for words in ("make env-vllm", "make env-speech-gpu", ".venv-vllm"):
        assert words in said
    assert list(missing(gpu_parsed([]), tmp_path)) == []
    assert list(missing(gpu_parsed(["--engine", "vllm", "--url", "http://127.0.0.1:1"]), tmp_path)) == []


def test_a_step_is_known_by_its_old_name() -> None:
    assert gpu_parsed(["--steps", "ears", "calls"]).steps == ["transcriptions", "calls"]


@pytest.mark.parametrize("words", [["--sessions", "0"], ["--model", "random:huge"], ["--model", "/nowhere"]])
def test_impossible_options_are_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        gpu_parsed(words)


def test_random_weights_have_the_shape_of_the_model_and_write_what_can_be_spoken(tmp_path: Path) -> None:
    folder = random_llama.prepare("tiny", tmp_path, lambda said: None)
    shape = random_llama.SHAPES["tiny"]
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == 2 * shape.parameters
    assert random_llama.SHAPES["8b"].parameters == 8_030_261_248
    found = {}
    for name in set(index["weight_map"].values()):
        content = (folder / name).read_bytes()
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])
        header.pop("__metadata__")
        assert max(one["data_offsets"][1] for one in header.values()) == len(content) - 8 - size
        found |= {tensor: tuple(one["shape"]) for tensor, one in header.items()}
    assert found == dict(random_llama.tensors(shape))
    tokenizer = random_llama.tokenizer(shape.vocabulary)
    text = tokenizer.decode([int(token) for token in np.random.default_rng(2).integers(3, 2_000, 60)])
    sentences = SentenceBuffer(SentenceSettings(), SessionSettings().language).push(text + " ")
    assert len(sentences) >= 2
    assert all(one.text.strip() for one in sentences)


@pytest.mark.weights
def test_a_whisper_with_random_weights_is_one_that_the_engine_runs(tmp_path: Path) -> None:
    cache = Path("~/.cache/rhapsode").expanduser()
    like = whisper_files(None, cache).folder
    folder = random_whisper.prepare("tiny", like, tmp_path, lambda said: None)

    async def listen() -> list[str | Transcript]:
        stt = build_speech_to_text(SpeechToTextSettings(model_path=folder), tmp_path)
        try:
            return [item async for item in stt.transcribe(Utterance(bytes(64_000), "en"))]
        finally:
            await stt.aclose()

    assert isinstance(asyncio.run(listen())[-1], Transcript)


def test_sessions_are_carried_up_to_the_first_size_that_is_late_or_falls_silent() -> None:
    rows = [
        GpuRow("whole", 1, (90,), (400, 500), 1.0, "s of sound", 0.0),
        GpuRow("whole", 4, (90,), (500, 900), 1.0, "s of sound", 0.0),
        GpuRow("whole", 16, (90,), (500, 900), 1.0, "s of sound", 0.2),
        GpuRow("whole", 64, (90,), (500, 900), 1.0, "s of sound", 0.0),
    ]
    assert "without silences: 4 of those tried" in carried(rows, 1_000)
    assert "none of those tried" in carried(rows, 300)
    arguments = gpu_parsed(["--model", "random:8b", "--engine", "vllm"])
    assert "Weights are random" in report(rows, arguments)


def test_medians_are_taken_of_each_figure() -> None:
    rows = [{"a": 1.0, "b": {"1": 5.0}}, {"a": 9.0, "b": {"1": 7.0}}, {"a": 2.0, "b": {"1": 6.0}}]
    assert medians(rows) == {"a": 2.0, "b": {"1": 6.0}}
