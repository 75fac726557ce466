"""Manifest of models that can be downloaded: address, files, size, licence and languages of each."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Engine = Literal["llama", "whisper", "moonshine", "piper", "coqui", "kokoro", "pocket"]
Role = Literal["language-model", "speech-to-text", "voice"]


_ROLES: Final[Mapping[Engine, Role]] = {
    "llama": "language-model",
    "whisper": "speech-to-text",
    "moonshine": "speech-to-text",
    "piper": "voice",
    "coqui": "voice",
    "kokoro": "voice",
    "pocket": "voice",
}


class ModelEntry(BaseModel):
    """One model of the manifest. The hub is the one of Hugging Face, or the one that HF_ENDPOINT names."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    engine: Engine
    about: str
    repository: str
    revision: str
    """A commit, a tag or a branch. The commit that was downloaded is recorded beside the files."""
    files: Annotated[tuple[str, ...], Field(min_length=1)]
    """Paths in the repository. They are stored side by side, under their last parts."""
    megabytes: Annotated[int, Field(gt=0)]
    """Size of all files; a download of a tenth more than this is refused."""
    licence: str
    languages: tuple[str, ...]
    """Tags of BCP 47; `*`: many."""
    sha256: dict[str, str] = {}
    """Checksums by path, where they are pinned; the hub's own record of the commit is checked in any case."""
    voice: str | None = None
    """Voice of new sessions, where the model has several."""

    @property
    def role(self) -> Role:
        return _ROLES[self.engine]

    def path(self, folder: Path) -> Path:
        """The file that the engine loads, for Piper and llama.cpp, or else the folder."""
        suffix = {"llama": ".gguf", "piper": ".onnx"}.get(self.engine)
        if suffix is None:
            return folder
        return folder / next(Path(file).name for file in self.files if file.endswith(suffix))

    def settings(self, folder: Path) -> dict[str, dict[str, Any]]:
        """Settings that make a server use the model, by branch of the settings tree."""
        path = str(self.path(folder))
        match self.engine:
            case "llama":
                return {"language_model": {"engine": "llama", "model_path": path}}
            case "whisper":
                return {
                    "speech_to_text": {"engine": "whisper", "model_path": path},
                    "quality_speech_to_text": {"model": path},
                }
            case "moonshine":
                return {"speech_to_text": {"engine": "moonshine", "model_path": path}}
            case "piper":
                voice = {"voice": Path(path).stem, "language": self.languages[0]}
                return {"text_to_speech": {"engine": "piper", "voice_path": path}, "session": voice}
            case "coqui":
                return {"text_to_speech": {"engine": "coqui", "model_path": path}}
            case "kokoro" | "pocket":
                session = {"voice": self.voice, "language": self.languages[0]}
                return {"text_to_speech": {"engine": self.engine, "model_path": path}, "session": session}


@cache
def entries() -> tuple[ModelEntry, ...]:
    """Every model of the manifest, in its order."""
    found = files("pipeline.engines.weights").joinpath("manifest.json").read_bytes()
    return TypeAdapter(tuple[ModelEntry, ...]).validate_json(found)


def next_smaller(entry: ModelEntry) -> ModelEntry | None:
    """The largest one that is smaller, has the same role and the first language; None: there is none."""
    smaller = [
        one
        for one in entries()
        if one.role == entry.role
        and one.megabytes < entry.megabytes
        and not {"*", entry.languages[0]}.isdisjoint(one.languages)
    ]
    return max(smaller, key=lambda one: one.megabytes, default=None)
