"""Models that `rhapsode models use` has chosen, a small file in the home; and the states of all of them."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from pipeline.engines.weights.model_download import folder_of, installed
from pipeline.engines.weights.model_manifest import ModelEntry, Role, entries
from schemas.settings.voice_settings import PACKAGED_VOICE

_FILE: Final = "models.json"
_Names = Annotated[
    tuple[str, ...], Field(min_length=1), BeforeValidator(lambda one: (one,) if isinstance(one, str) else one)
]
_CHOICE: Final = TypeAdapter(dict[Role, _Names])
"""A name alone is written as itself, as releases with one model in each role write and read it."""
PACKAGED: Final[Mapping[str, Role]] = {
    "packaged-language-model": "language-model",
    "packaged-speech-to-text": "speech-to-text",
    "packaged-voice": "voice",
}
"""Names of the packaged models, or of what the configuration file says."""


def chosen(home: Path) -> dict[Role, tuple[str, ...]]:
    """Names of the models in each role, the one that was chosen last at the end.

    A role with the packaged model alone is left out. Voices alone are several; the last one is the voice of
    new sessions.
    """
    try:
        return _CHOICE.validate_json((home.expanduser() / _FILE).read_bytes())
    except (OSError, ValidationError):
        return {}


def choose(home: Path, name: str) -> None:
    """Records a choice. Piper's voices that were chosen before stay beside a new one, or the packaged one."""
    role = PACKAGED[name] if name in PACKAGED else _known()[name].role
    others = [one for one in chosen(home).get(role, ()) if one != name and _is_beside(one, name)]
    _write(home, {**chosen(home), role: (*others, name)})


def drop(home: Path, name: str) -> None:
    """Takes a model back; if it was chosen last, the packaged model follows it."""
    names = chosen(home)
    for role, known in list(names.items()):
        if name in known:
            others = tuple(one for one in known if one != name)
            [packaged] = [one for one, its in PACKAGED.items() if its == role]
            names[role] = others if known[-1] != name else (*others, packaged)
    _write(home, names)


def _is_beside(one: str, name: str) -> bool:
    """Whether both may be loaded at once: Piper's voices may, and the packaged one is among them."""
    known = _known()
    return all(
        each == "packaged-voice" or (each in known and known[each].engine == "piper") for each in (one, name)
    )


def _write(home: Path, names: Mapping[Role, tuple[str, ...]]) -> None:
    home = home.expanduser()
    home.mkdir(parents=True, exist_ok=True)
    kept = {
        role: known if len(known) > 1 else known[0]
        for role, known in names.items()
        if not set(known) <= PACKAGED.keys()
    }
    fresh = home / f"{_FILE}.{os.getpid()}"
    fresh.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    fresh.replace(home / _FILE)


def _known() -> dict[str, ModelEntry]:
    return {entry.name: entry for entry in entries()}


def overlaid(values: Mapping[str, Any], home: Path, cache: Path) -> dict[str, Any]:
    """The values of a configuration file with the settings of the chosen models on top."""
    result, known, names = dict(values), _known(), chosen(home)
    configured = result.get("text_to_speech", {})
    for last in (each[-1] for each in names.values()):
        if last in known:
            for branch, settings in _settings(known[last], cache).items():
                result[branch] = {**result.get(branch, {}), **settings}
    voices = [known[one] for one in names.get("voice", ()) if one in known]
    paths = [str(one.path(folder_of(one.name, cache))) for one in voices if one.engine == "piper"]
    if paths:
        before = [configured.get("voice_path") or PACKAGED_VOICE, *configured.get("further_voices", ())]
        branch = result.get("text_to_speech", {})
        first = str(branch.get("voice_path") or PACKAGED_VOICE)
        further = [one for one in dict.fromkeys(map(str, [*before, *paths])) if one != first]
        result["text_to_speech"] = {**branch, "further_voices": further}
    return result


def _settings(entry: ModelEntry, cache: Path) -> dict[str, dict[str, Any]]:
    return entry.settings(folder_of(entry.name, cache))


ModelState = Literal["in use", "also in use", "installed", "-"]
"""`also in use`: a voice that speaks sentences in its language, and is not the voice of new sessions."""
_MEGABYTE: Final = 1_000_000
_MEMORY: Final = 1.25
"""Bytes of memory for a byte of its files: weights, and what an engine needs beside them."""


def states(home: Path, cache: Path) -> dict[str, ModelState]:
    """The state of each model by name; the packaged ones come first."""
    choices, there = chosen(home), {one.name for one in installed(cache)}
    found: dict[str, ModelState] = dict.fromkeys(PACKAGED, "installed")
    found |= {one.name: "installed" if one.name in there else "-" for one in entries()}
    for name, role in PACKAGED.items():
        names = choices.get(role, (name,))
        found[names[-1]] = "in use"
        found |= dict.fromkeys(names[:-1], "also in use")
        if role == "voice" and found[name] == "installed" and _is_piper(names[-1]):
            found[name] = "also in use"
    return found


def fits(entry: ModelEntry, free_bytes: int) -> bool:
    """Whether the model needs at most so much memory, as the size of its files tells."""
    return entry.megabytes * _MEGABYTE * _MEMORY <= free_bytes


def _is_piper(name: str) -> bool:
    return any(one.engine == "piper" for one in entries() if one.name == name)
