"""Is this frame speech? Silero's answer for each frame, several frames of a stream in one call."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.errors import EngineFailed

FRAME_MS: Final = 32
FRAME_BYTES: Final = 1_024
"""512 samples of 16-bit mono at 16 kHz: the only length that the model takes."""
_CONTEXT: Final = 64
"""Samples of the frame before that the model wants to see again."""
_STATE: Final = (1, 1, 128)
_LOUDER: Final = 1.5
"""Peaks this much above those of silence may be speech; a larger value lets soft speech wait."""
_RISE: Final = 1.25
"""The level of known silence grows no faster than this for each stretch of it."""
WARMING: Final = 32
"""Frames that a model needs from the middle of a stream until it tells speech from other sound."""
_PEAK: Final = 16
"""Frames that peak at this much of 32,768 or less (-66 dB) are no speech to any model."""


INAUDIBLE: Final = 0.0
"""The probability of speech in a frame that nobody could hear, nor the second before it. No model says it."""


class Vad(Protocol):
    """Tells speech from other sound in one stream of frames, in order."""

    def probabilities(self, frames: bytes) -> list[float]:
        """That there is speech, from INAUDIBLE to 1, for each of one or more whole frames."""
        ...

    def reset(self) -> None:
        """Resets the model's state: the next frame does not continue the last."""
        ...


class NoiseFloor:
    """Peak of one stream's sound while nobody speaks. It tells which sound is worth a look at once."""

    def __init__(self) -> None:
        self._peak = 0.0

    def note(self, silence: bytes) -> None:
        """PCM16 in which no frame was voiced."""
        peak = max(_peak(silence), 1.0)
        self._peak = min(peak, self._peak * _RISE) if self._peak else peak

    def exceeded(self, sound: bytes | bytearray) -> bool:
        """True if PCM16 is louder than silence was, or silence has not been heard yet."""
        return _peak(sound) > _LOUDER * self._peak


def _peak(pcm: bytes | bytearray) -> float:
    samples = np.frombuffer(pcm, "<i2")
    return max(float(samples.max()), -float(samples.min()))


def _rows(frames: bytes) -> NDArray[np.int16]:
    """A row of samples for each frame. Raises ValueError if they are no whole frames."""
    if not frames or len(frames) % FRAME_BYTES:
        raise ValueError(f"A frame has {FRAME_BYTES} bytes; {len(frames)} are no whole frames.")
    return np.frombuffer(frames, "<i2").reshape(-1, FRAME_BYTES // 2)


class SileroVad:
    """Silero v6: 0.1 ms for a frame, half of it for each of four together. One model for the whole process,
    2 KB for each stream."""

    def __init__(self) -> None:
        self._model = _model()
        self.reset()

    def reset(self) -> None:
        self._h = np.zeros(_STATE, np.float32)
        self._c = np.zeros(_STATE, np.float32)
        self._seen: NDArray[np.float32] = np.zeros((1, _CONTEXT), np.float32)

    def probabilities(self, frames: bytes) -> list[float]:
        rows = _rows(frames).astype(np.float32) / np.float32(32_768)
        seen = np.concatenate([self._seen, rows[:-1, -_CONTEXT:]])
        asked = {"input": np.concatenate([seen, rows], axis=1), "h": self._h, "c": self._c}
        answers, self._h, self._c = self._model.run(None, asked)
        self._seen = rows[-1:, -_CONTEXT:]
        return [float(answer) for answer in answers]


class EnergyGate:
    """A Vad that asks another one, Silero by default, only about sound that somebody could hear.

    After `WARMING` inaudible frames the next inaudible ones are no speech, whatever the model would say. Each
    frame is judged by itself, so that it does not matter how a stream is cut into blocks. When it becomes
    audible, the model is given what it missed; after more than `WARMING` frames it begins anew with the last
    of them, as it does where an input is continued from the log.
    """

    def __init__(self, vad: Vad | None = None) -> None:
        self._vad = vad or SileroVad()
        self.reset()

    def reset(self) -> None:
        self._vad.reset()
        self._inaudible = 0
        """Inaudible frames since the last audible one."""
        self._missed = 0
        self._last_missed = bytearray()

    def probabilities(self, frames: bytes) -> list[float]:
        answers: list[float] = []
        asked = 0
        rows = _rows(frames)
        inaudible = (rows.max(axis=1) <= _PEAK) & (rows.min(axis=1) >= -_PEAK)
        for number, silent in enumerate(inaudible.tolist()):
            start = number * FRAME_BYTES
            self._inaudible = self._inaudible + 1 if silent else 0
            if self._inaudible > WARMING:
                answers += [*self._ask(frames[asked:start]), INAUDIBLE]
                asked = start + FRAME_BYTES
                self._miss(frames[start:asked])
            elif self._missed:
                self._catch_up()
        return answers + self._ask(frames[asked:])

    def _ask(self, frames: bytes) -> list[float]:
        return self._vad.probabilities(frames) if frames else []

    def _miss(self, frame: bytes) -> None:
        self._missed += 1
        self._last_missed += frame
        del self._last_missed[: -WARMING * FRAME_BYTES]

    def _catch_up(self) -> None:
        if self._missed > WARMING:
            self._vad.reset()
        self._vad.probabilities(bytes(self._last_missed))
        self._missed = 0
        self._last_missed.clear()


@lru_cache(maxsize=1)
def _model() -> Any:
    import onnxruntime  # only who listens pays for it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        str(_weights()), sess_options=options, providers=["CPUExecutionProvider"]
    )


def _weights() -> Path:
    """The model file that comes with faster-whisper; the package itself takes a second to import."""
    spec = find_spec("faster_whisper")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "assets" / "silero_vad_v6.onnx"
        if path.is_file():
            return path
    raise EngineFailed("The model that tells speech from silence is not installed (package faster-whisper).")
