"""Upcasting: payloads of older event versions are brought to the shape of today's models."""

from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel

from schemas.errors import LogError
from schemas.events import Event

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
UPCASTERS: Final[dict[tuple[str, int], Upcaster]] = {}
"""(type, v) -> a pure function from the payload of version v to that of version v + 1."""

EVENT_MODELS: Final[tuple[type[BaseModel], ...]] = get_args(get_args(Event)[0])
"""Every member of the union, in the order in which schemas/events/__init__.py lists them."""

VERSIONS: Final[Mapping[str, int]] = {
    model.model_fields["type"].default: model.model_fields["v"].default for model in EVENT_MODELS
}
"""Today's version of every type."""

LATER: Final = "@v"
"""Between the type and the version of an event that a later program wrote."""


class UnknownEvents:
    """Counts the events that this process read and has no model for: a later program wrote them."""

    read: int = 0


class UnknownEvent(LogError):
    """A newer version of this program wrote the event. Projections count it and go on."""

    code = "log.unknown_fact"


def upcast(kind: str, v: int, data: dict[str, Any]) -> tuple[str, int, dict[str, Any]]:
    """Type, version and payload of a stored event in the shape of today's models.

    An event of a later version keeps its payload, and its type ends in `@v` and the version: no fold knows
    that type, so each passes over the event as over one of an unknown type. Every decoder of stored events
    calls this function, and nothing else reads an old shape.
    """
    newest = VERSIONS.get(kind)
    if v == newest:
        return kind, v, data
    if newest is None or v > newest or (kind, v) not in UPCASTERS:
        UnknownEvents.read += 1
        return (kind if newest is None else f"{kind}{LATER}{v}"), v, data
    for old in range(v, newest):
        data = UPCASTERS[kind, old](data)
    return kind, newest, data
