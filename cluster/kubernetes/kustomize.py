"""Renders a kustomization as `kubectl kustomize` does, as far as ours go; anything else is refused."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import yaml

Manifest = dict[str, Any]

_KEYS: Final = frozenset(
    {
        "apiVersion",
        "kind",
        "namespace",
        "resources",
        "components",
        "configMapGenerator",
        "generatorOptions",
        "images",
        "patches",
    }
)
_WITHOUT_NAMESPACE: Final = frozenset({"Namespace", "ClusterRole", "ClusterRoleBinding", "PriorityClass"})
_KINDS: Final = ("Kustomization", "Component")


class Unrenderable(Exception):
    """A kustomization asks for something that is wrong, or that this renderer does not do."""


def render(folder: Path) -> list[Manifest]:
    """Every object of the kustomization in `folder`. Raises Unrenderable, naming the file."""
    return _built(folder, "Kustomization", [])


def named(manifest: Manifest) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def _built(folder: Path, kind: str, found: list[Manifest]) -> list[Manifest]:
    """`found`: what there is before; a component changes it, anything else begins with nothing."""
    said, place = _read(folder, kind)
    for name in said.get("resources", []):
        found += _resource(folder / name)
    for name in said.get("components", []):
        found = _built(folder / name, "Component", found)
    for generator in said.get("configMapGenerator", []):
        found.append(_config_map(folder, generator, said.get("generatorOptions") or {}, place))
    for patch in said.get("patches", []):
        _patch(folder, patch, found, place)
    if namespace := said.get("namespace"):
        for manifest in found:
            if manifest["kind"] not in _WITHOUT_NAMESPACE:
                manifest["metadata"]["namespace"] = namespace
    for image in said.get("images", []):
        _rename(found, image, place)
    _refuse_doubled(found, place)
    return found


def _read(folder: Path, kind: str) -> tuple[Manifest, str]:
    file = folder / "kustomization.yaml"
    try:
        said = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise Unrenderable(f"{file}: {error}") from error
    if said.get("kind") != kind or said["kind"] not in _KINDS:
        raise Unrenderable(f"{file}: kind must be {kind}")
    if unknown := sorted(said.keys() - _KEYS):
        raise Unrenderable(f"{file}: this renderer does not know {', '.join(unknown)}")
    return said, str(file)


def _resource(path: Path) -> list[Manifest]:
    if path.is_dir():
        return _built(path, "Kustomization", [])
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise Unrenderable(f"{path}: {error}") from error
    # A copy: what two places share by an anchor, a patch may change in one of them.
    return [deepcopy(_unshared(document)) for document in documents if document]


def _unshared(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unshared(item) for key, item in value.items()}
    return [_unshared(item) for item in value] if isinstance(value, list) else value


def _config_map(folder: Path, generator: Manifest, options: Manifest, place: str) -> Manifest:
    if generator.keys() - {"name", "files", "options"} or not (
        options.get("disableNameSuffixHash") or (generator.get("options") or {}).get("disableNameSuffixHash")
    ):
        raise Unrenderable(f"{place}: a configMapGenerator has files and disableNameSuffixHash, nothing else")
    metadata: Manifest = {"name": generator["name"]}
    if labels := (generator.get("options") or {}).get("labels"):
        metadata["labels"] = dict(labels)
    data = {}
    for entry in generator["files"]:
        key, _, name = entry.rpartition("=")
        data[key or Path(name).name] = (folder / name).read_text(encoding="utf-8")
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _patch(folder: Path, patch: Manifest, found: list[Manifest], place: str) -> None:
    if patch.keys() - {"path", "patch", "target"}:
        raise Unrenderable(f"{place}: a patch has path or patch, and target")
    text = patch.get("patch") or (folder / patch["path"]).read_text(encoding="utf-8")
    said, where = yaml.safe_load(text), f"{place}: {patch.get('path', 'patch')}"
    operations = said if isinstance(said, list) else None
    target = patch.get("target") or ({} if operations else _identity(said))
    hit = [manifest for manifest in found if _is_meant(manifest, target)]
    if not hit or not target:
        raise Unrenderable(f"{where}: there is nothing that it fits")
    for manifest in hit:
        if operations is None:
            manifest.update(merged(manifest, said, where))
        else:
            for operation in operations:
                operate(manifest, deepcopy(_unshared(operation)), where)


def _identity(manifest: Manifest) -> dict[str, str]:
    return {"kind": manifest["kind"], "name": manifest["metadata"]["name"]}


def _is_meant(manifest: Manifest, target: Manifest) -> bool:
    if unknown := target.keys() - {"kind", "name"}:
        raise Unrenderable(
            f"this renderer finds targets by kind and name, not by {', '.join(sorted(unknown))}"
        )
    return all(_identity(manifest)[key] == value for key, value in target.items())


def _rename(value: Any, image: Manifest, place: str) -> None:
    """Give containers, wherever they are, the image's new name."""
    if unknown := image.keys() - {"name", "newName", "newTag", "digest"}:
        raise Unrenderable(f"{place}: images: unknown {', '.join(sorted(unknown))}")
    if isinstance(value, list):
        for item in value:
            _rename(item, image, place)
    elif isinstance(value, dict):
        for key, item in value.items():
            _rename(item, image, place)
            if key in ("containers", "initContainers") and isinstance(item, list):
                for container in item:
                    if str(container.get("image", "")).partition(":")[0] == image["name"]:
                        mark = f"@{image['digest']}" if "digest" in image else f":{image['newTag']}"
                        container["image"] = f"{image.get('newName', image['name'])}{mark}"


def _refuse_doubled(found: list[Manifest], place: str) -> None:
    names = [named(manifest) for manifest in found]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise Unrenderable(f"{place}: twice there: {', '.join(doubled)}")


def merged(base: Any, patch: Mapping[str, Any], place: str) -> Any:
    """`base` with the keys of `patch`; null takes a key away.

    Lists are refused: how they are merged depends on the kind.
    """
    result = dict(base) if isinstance(base, dict) else {}
    for key, value in patch.items():
        if isinstance(value, list):
            raise Unrenderable(f"{place}: {key} is a list; change lists by an RFC 6902 patch")
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merged(result.get(key), value, place)
        else:
            result[key] = value
    return result


def operate(document: Any, operation: Mapping[str, Any], place: str) -> None:
    """Carry out one operation of RFC 6902 in place."""
    kind, path = operation["op"], str(operation["path"])
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    target = document
    try:
        for part in way:
            target = target[int(part)] if isinstance(target, list) else target[part]
        if isinstance(target, list):
            _in_list(target, kind, last, operation)
        else:
            _in_mapping(target, kind, last, operation)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise Unrenderable(f"{place}: {kind} {path}: there is no such place ({error})") from error


def _in_list(target: list[Any], kind: str, last: str, operation: Mapping[str, Any]) -> None:
    at = len(target) if last == "-" else int(last)
    if at > len(target) - (kind != "add"):
        raise IndexError(last)
    if kind == "add":
        target.insert(at, operation["value"])
    elif kind == "replace":
        target[at] = operation["value"]
    elif kind == "remove":
        del target[at]
    else:
        raise ValueError(f"unknown operation {kind}")


def _in_mapping(target: Any, kind: str, last: str, operation: Mapping[str, Any]) -> None:
    if kind not in ("add", "replace", "remove"):
        raise ValueError(f"unknown operation {kind}")
    if kind != "add" and last not in target:
        raise KeyError(last)
    if kind == "remove":
        del target[last]
    else:
        target[last] = operation["value"]
