"""Smart Turn v3: a small Whisper encoder that hears whether a turn is over, on one thread of this process."""

from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.own_thread import OwnThread
from pipeline.engines.slots import Slots
from pipeline.engines.weights.prepared_folders import UnusableWeights, package, sha256
from schemas.errors import EngineFailed
from schemas.settings.listening_settings import SpeechToTextSettings

RATE: Final = 16_000
SAMPLES: Final = 8 * RATE
FRAMES: Final = 800
MELS: Final = 80
_FFT: Final = 400
_HOP: Final = 160
_BREAK_HZ: Final = 1_000.0
"""Slaney's mel scale is linear up to here, and logarithmic above."""
_BREAK_MEL: Final = 15.0
_STEP: Final = np.log(6.4) / 27.0

Floats = NDArray[np.float32]


def log_mel(pcm: bytes) -> Floats:
    """(80, 800) features of the last eight seconds of PCM16 at 16 kHz; before shorter sound is silence.

    As Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022), section 2.2, but
    of sound that was brought to zero mean and unit variance, as the Smart Turn models want it.
    """
    samples = np.zeros(SAMPLES, np.float32)
    last = np.frombuffer(pcm, "<i2")[-SAMPLES:]
    samples[SAMPLES - len(last) :] = last / np.float32(32_768)
    samples = (samples - samples.mean()) / np.sqrt(samples.var() + np.float32(1e-7))
    padded = np.pad(samples, _FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[: FRAMES * _HOP : _HOP]
    power = np.abs(np.fft.rfft(frames * _window())) ** 2
    logs = np.log10(np.maximum(_filters() @ power.T.astype(np.float32), 1e-10))
    features: Floats = ((np.maximum(logs, logs.max() - 8.0) + 4.0) / 4.0).astype(np.float32)
    return features


@lru_cache(maxsize=1)
def _window() -> Floats:
    return np.hanning(_FFT + 1)[:-1].astype(np.float32)


@lru_cache(maxsize=1)
def _filters() -> Floats:
    """(80, 201) triangles of equal area between 0 and 8 kHz."""
    edges = _hertz(np.linspace(0.0, _mel(RATE / 2), MELS + 2))
    bins = np.linspace(0.0, RATE / 2, _FFT // 2 + 1)
    up = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    down = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    areas = 2.0 / (edges[2:] - edges[:-2])
    return (np.maximum(0.0, np.minimum(up, down)) * areas[:, None]).astype(np.float32)


def _mel(hertz: float) -> float:
    return float(_BREAK_MEL + np.log(hertz / _BREAK_HZ) / _STEP)


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(
        mels < _BREAK_MEL, mels * _BREAK_HZ / _BREAK_MEL, _BREAK_HZ * np.exp(_STEP * (mels - _BREAK_MEL))
    )


_FILE: Final = Path("audio", "turn", "smart_turn", "data", "smart-turn-v3.2-cpu.onnx")
_SHA256: Final = "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f"
_WAITING: Final = 2
"""An answer that comes later than this many others would come after the silence is over."""


def smart_turn_file() -> Path:
    """The model file, of the package pipecat-ai, of which nothing is imported. Raises UnusableWeights."""
    path = package("pipecat") / _FILE
    if not path.is_file() or sha256(path) != _SHA256:
        raise UnusableWeights(f"{path} is not the Smart Turn model that this version was made for.")
    return path


def build(settings: SpeechToTextSettings, cache: Path) -> "SmartTurn":
    """Nothing of it is set or prepared; the model is loaded when it is first asked."""
    return SmartTurn()


class SmartTurn:
    """One question at a time, one core at most: some 75 ms of it for each (docs/measurements.md)."""

    def __init__(self) -> None:
        self._slots = Slots(1, waiting=_WAITING)
        self._thread = OwnThread("smart-turn")
        self._model: Any = None
        self._broken: EngineFailed | None = None

    async def end_of_turn(self, pcm: bytes) -> float:
        async with self._slots.take():
            return await self._thread.do(self._answer, pcm)

    def _answer(self, pcm: bytes) -> float:
        if self._broken is not None:
            raise self._broken
        if self._model is None:
            try:
                self._model = _load()
            except EngineFailed as error:  # each pause of each speaker would try again
                self._broken = error
                raise
        try:
            answers = self._model.run(None, {"input_features": log_mel(pcm)[None]})
        except Exception as error:  # onnxruntime raises what it likes
            raise EngineFailed(f"The model of the end of turn failed: {type(error).__name__}") from error
        return float(answers[0].item())

    async def aclose(self) -> None:
        await self._thread.aclose()


def _load() -> Any:
    import onnxruntime  # only a process that listens pays for it

    try:
        path = smart_turn_file()
    except UnusableWeights as error:
        raise EngineFailed(str(error)) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime raises what it likes
        raise EngineFailed(f"The model of the end of turn cannot be loaded: {error}") from error
