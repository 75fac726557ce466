"""Smart Turn v3: a small Whisper encoder that hears whether a turn is over, on one thread of this process."""

from pathlib import Path
from typing import Any, Final

from pipeline.engines.own_thread import OwnThread
from pipeline.engines.slots import Slots
from pipeline.engines.stt.log_mel import log_mel
from pipeline.engines.weights.prepared_folders import UnusableWeights, package, sha256
from schemas.errors import EngineFailed
from schemas.settings.listening_settings import SpeechToTextSettings

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
