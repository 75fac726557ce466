"""The two kinds of patches that our overlays use: merged mappings, and RFC 6902's operations."""

from collections.abc import Mapping
from typing import Any


class Unrenderable(Exception):
    """A kustomization asks for something that is wrong, or that this renderer does not do."""


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
