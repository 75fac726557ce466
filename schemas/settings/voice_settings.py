"""How the voice in this server is made: which engine, with which weights, on which device."""

from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, JsonValue, model_validator

from schemas.document_models import ClosedModel

Device = Literal["auto", "cpu", "cuda"]
Packaged = Literal["joe"]
PACKAGED_VOICE: Final[Packaged] = "joe"


class LocalVoiceSettings(ClosedModel):
    """The engine of one replica."""

    engine: str = "piper"
    """`piper`; `coqui`: VITS or XTTS, in an environment of its own (`make env-speech-gpu`); `kokoro` and
    `pocket`, by sherpa-onnx; `none`: text only, or what `providers` speak; `scripted`."""
    options: dict[str, JsonValue] = {}
    """Settings of an engine from another package, as it describes them."""
    voice_path: Path | None = None
    """Your own Piper voice (.onnx with its .onnx.json beside it); None: the packaged voice "joe". Coqui
    converts it once."""
    further_voices: tuple[Packaged | Path, ...] = Field(default=(), max_length=100)
    """Piper only: voices beside that one, as paths or "joe". Each speaks sentences in its language."""
    loaded_voices: int = Field(default=3, ge=1, le=100)
    """Piper only: so many voices stay in memory; the one that was used least recently makes room. A voice is
    loaded for its first sentence: 100 MB and some seconds."""
    model_path: Path | None = None
    """Coqui: your own checkpoint, a VITS file or a folder of XTTS; None: the Piper voice above. Kokoro and
    Pocket TTS: the folder of the model, as `rhapsode models pull` makes it."""
    config_path: Path | None = None
    """Its configuration; None: `config.json` beside it."""
    speaker_wav: Path | None = None
    """XTTS and Pocket TTS: whose voice it takes, a recording of some seconds, or for XTTS a .pth file with
    its latents."""
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}(-[a-z]{2})?$")
    """XTTS only: what the texts are written in."""
    device: Device = "auto"
    """`auto`: Coqui takes a GPU if torch sees one, Piper stays on the CPU."""
    memory_fraction: float | None = Field(default=None, gt=0, le=1)
    """Coqui only: of the card's memory, so much is the most that it may take; None: all that it finds."""
    python: Path | None = None
    """The interpreter that the voice runs in; None: `.venv-speech` beside the program for Coqui and for Piper
    on CUDA, the program's own for the rest."""
    threads: int = Field(default=1, ge=1, le=64)
    """On a CPU; a GPU is given its work by one."""
    streams: int = Field(default=8, ge=1, le=256)
    """Sentences that one replica works on together."""
    stall_s: float = Field(default=60.0, gt=0)
    """So long a piece of a sentence may be at work; then the engine counts as stopped, and its replica is
    replaced."""
    batch: int = Field(default=16, ge=1, le=256)
    """Coqui on a GPU only: sentences, or windows of them, that are made at once. On a CPU it is one."""

    @property
    def voice_sources(self) -> dict[str, Packaged | Path]:
        """Piper's voices by name, the first one first; a voice is named like its file."""
        given = (self.voice_path or PACKAGED_VOICE, *self.further_voices)
        return {one if isinstance(one, str) else one.stem: one for one in given}

    @model_validator(mode="after")
    def _voices_have_names_of_their_own(self) -> Self:
        known = self.voice_sources
        for one in (self.voice_path or PACKAGED_VOICE, *self.further_voices):
            name = one if isinstance(one, str) else one.stem
            if known[name] != one:
                raise ValueError(f"two voices are named {name!r}: rename the file of one of them")
        return self
