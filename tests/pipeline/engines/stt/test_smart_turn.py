"""Smart Turn keeps the contract of turn detectors, and hears what Whisper's features are."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.engines.registry import build_turn_detector
from pipeline.engines.stt import smart_turn
from pipeline.engines.stt.smart_turn import SmartTurn, log_mel
from schemas.errors import EngineFailed
from schemas.settings.listening_settings import SpeechToTextSettings
from tests.contracts.turn_detector import TurnDetectorContract


@pytest.mark.weights
class TestSmartTurn(TurnDetectorContract):
    @pytest.fixture
    async def detector(self) -> AsyncIterator[SmartTurn]:
        detector = SmartTurn()
        yield detector
        await detector.aclose()


def test_the_features_are_those_of_faster_whisper() -> None:
    from faster_whisper.feature_extractor import FeatureExtractor

    sound = np.random.default_rng(5).normal(0.0, 3_000.0, 128_000).astype("<i2")
    samples = sound / np.float32(32_768)
    samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    theirs = FeatureExtractor(feature_size=80)(samples, padding=0)[:, :800]
    ours = log_mel(sound.tobytes())
    assert ours.shape == (80, 800)
    assert np.abs(ours[:, : theirs.shape[1]] - theirs).max() < 1e-3


def test_short_sound_is_preceded_by_silence() -> None:
    tone = (8_000 * np.sin(np.arange(16_000) * 0.3)).astype("<i2").tobytes()
    assert (log_mel(tone) == log_mel(bytes(2 * 112_000) + tone)).all()


@pytest.mark.parametrize(
    ("name", "engine", "there"),
    [
        ("auto", "whisper", True),
        ("auto", "scripted", False),
        ("none", "whisper", False),
        ("smart_turn", "scripted", True),
    ],
)
def test_the_setting_says_whether_there_is_one(
    tmp_path: Path, name: str, engine: str, *, there: bool
) -> None:
    settings = SpeechToTextSettings(engine=engine, turn_detector=name)
    assert (build_turn_detector(settings, tmp_path) is not None) == there


@pytest.mark.anyio
async def test_a_model_that_cannot_be_loaded_is_tried_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged, tried = tmp_path / "damaged.onnx", list[Path]()
    damaged.write_bytes(b"nothing")
    monkeypatch.setattr(smart_turn, "smart_turn_file", lambda: tried.append(damaged) or damaged)
    detector = SmartTurn()
    for _ in range(3):
        with pytest.raises(EngineFailed, match="cannot be loaded"):
            await detector.end_of_turn(bytes(32_000))
    assert len(tried) == 1
    await detector.aclose()
