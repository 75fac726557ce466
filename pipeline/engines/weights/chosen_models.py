"""Models that `rhapsode models use` has chosen: a small file in the home, over the configuration file."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from pipeline.engines.weights.model_download import folder_of
from pipeline.engines.weights.model_manifest import ModelEntry, Role, entries

_FILE: Final = "models.json"
_CHOICE: Final = TypeAdapter(dict[Role, str])


def chosen(home: Path) -> dict[Role, str]:
    """The name of the model in each role; roles with the packaged or configured model are left out."""
    try:
        return _CHOICE.validate_json((home.expanduser() / _FILE).read_bytes())
    except (OSError, ValidationError):
        return {}


def choose(home: Path, role: Role, name: str | None) -> None:
    """Records a choice; None: the packaged model, or what the configuration file says, again."""
    home = home.expanduser()
    home.mkdir(parents=True, exist_ok=True)
    names = {one: old for one, old in chosen(home).items() if one != role}
    if name is not None:
        names[role] = name
    fresh = home / f"{_FILE}.{os.getpid()}"
    fresh.write_text(json.dumps(names, indent=1), encoding="utf-8")
    fresh.replace(home / _FILE)


def overlaid(values: Mapping[str, Any], home: Path, cache: Path) -> dict[str, Any]:
    """The values of a configuration file with the settings of the chosen models on top."""
    result, known = dict(values), {entry.name: entry for entry in entries()}
    for name in chosen(home).values():
        if name in known:
            for branch, settings in _settings(known[name], cache).items():
                result[branch] = {**result.get(branch, {}), **settings}
    return result


def _settings(entry: ModelEntry, cache: Path) -> dict[str, dict[str, Any]]:
    return entry.settings(folder_of(entry.name, cache))
