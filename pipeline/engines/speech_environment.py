"""Decides which engines run in an environment of their own, since their torch does not fit ours."""

from pathlib import Path
from typing import Final

from schemas.settings.listening_settings import QualitySpeechToTextSettings
from schemas.settings.voice_settings import LocalVoiceSettings

_PROGRAM: Final = Path(__file__).parents[2]
_USUAL: Final = _PROGRAM / ".venv-speech" / "bin" / "python"


def whisperx_python(settings: QualitySpeechToTextSettings) -> Path | None:
    """The interpreter that WhisperX runs in; None: it is not wanted, or "auto" does not find it.

    Wanted by name, it is given whether it exists or not: a wrong path should be told, not passed over.
    """
    if settings.engine not in ("whisperx", "auto"):
        return None
    python = (settings.python or _USUAL).expanduser()
    return python if settings.engine == "whisperx" or python.is_file() else None


def quality_engine(settings: QualitySpeechToTextSettings) -> str:
    """The engine of the quality way by its own name: "auto" is no answer."""
    if settings.engine == "auto":
        return "whisper" if whisperx_python(settings) is None else "whisperx"
    return settings.engine


def voice_python(settings: LocalVoiceSettings) -> Path | None:
    """The interpreter that the voice runs in, whether it exists or not; None: the program's own."""
    if settings.python is not None:
        return settings.python.expanduser()
    elsewhere = settings.engine == "coqui" or (settings.engine == "piper" and settings.device == "cuda")
    return _USUAL if elsewhere else None
