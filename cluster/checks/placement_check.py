"""Whether what a configuration asks for adds up: cards and their memory, autoscaling, the time to leave."""

from collections.abc import Iterator, Mapping
from math import ceil
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from ray.serve.config import AutoscalingConfig

from schemas.settings import AppSettings
from schemas.settings.placement_settings import FIELDS, Place

Trouble = tuple[str, str]
"""Fault of a setting, with its place."""
_SLACK_S: Final = 1.0
_FULL: Final = 1.0 + 1e-9
_CAPS: Final[Mapping[str, str]] = {
    "LanguageModel": "gpu_memory_utilization",
    "TextToSpeech": "memory_fraction",
    "QualitySpeechToText": "memory_fraction",
}
"""The setting that keeps an engine to its part of a card's memory."""
ON_DEMAND: Final = frozenset({"QualitySpeechToText", "Librarian"})
"""Deployments that may have no replica until somebody asks: no turn waits for them by default."""
_ARGS: Final = "applications.0.args"


def failures(settings: AppSettings, deployments: list[dict[str, Any]]) -> Iterator[Trouble]:
    """Yields settings that contradict each other; `deployments` as the file has them."""
    for number, deployment in enumerate(deployments):
        path = f"applications.0.deployments.{number}"
        yield from _autoscaling(deployment, path)
        yield from _duplicated(settings, deployment, path)
        if deployment.get("name") == "Gateway":
            yield from _leaving(settings, deployment, path)
    yield from _cards(settings, {one.get("name", ""): one for one in deployments})


def _autoscaling(deployment: Mapping[str, Any], path: str) -> Iterator[Trouble]:
    given = deployment.get("autoscaling_config")
    if not isinstance(given, dict):
        return
    try:
        scaling = AutoscalingConfig(**given)  # as it is understood: "2" is a number there
    except ValidationError as wrong:
        for one in wrong.errors():
            yield f"{path}.autoscaling_config", one["msg"]
        return
    least, most, first = scaling.min_replicas, scaling.max_replicas, scaling.initial_replicas
    if least > most or (first is not None and not least <= first <= most):
        yield f"{path}.autoscaling_config", "min_replicas <= initial_replicas <= max_replicas must hold"
    if least < 1 and deployment.get("name") not in ON_DEMAND:
        yield (f"{path}.autoscaling_config.min_replicas", "must be 1 or more: every turn needs it")
    most_ongoing = deployment.get("max_ongoing_requests")
    target = scaling.get_target_ongoing_requests()
    if target is not None and most_ongoing is not None and target >= int(most_ongoing):
        place = f"{path}.autoscaling_config.target_ongoing_requests"
        yield place, f"must be below max_ongoing_requests ({most_ongoing}): it would never be reached"


def _duplicated(settings: AppSettings, deployment: Mapping[str, Any], path: str) -> Iterator[Trouble]:
    name = deployment.get("name")
    if name in FIELDS and settings.placement.of(name) != Place() and "ray_actor_options" in deployment:
        yield (
            f"{path}.ray_actor_options",
            f"would hide {_ARGS}.placement.{FIELDS[name]}; say it in one place",
        )


def _leaving(settings: AppSettings, deployment: Mapping[str, Any], path: str) -> Iterator[Trouble]:
    """Yields a shutdown timeout that is too short; without one, deployments/app.py sets it."""
    needed = settings.gateway.leaving.longest_s + _SLACK_S
    given = deployment.get("graceful_shutdown_timeout_s")
    if given is not None and float(given) < needed:
        yield (
            f"{path}.graceful_shutdown_timeout_s",
            f"must be {needed:g} or more: {_ARGS}.gateway.leaving takes so long",
        )


def _cards(settings: AppSettings, deployments: Mapping[str, Mapping[str, Any]]) -> Iterator[Trouble]:
    placement, shared = settings.placement, 0.0
    for name in FIELDS:
        place = placement.of(name)
        if place.num_gpus:
            yield from _memory(settings, name, place)
            if place.pool is None:
                shared += place.num_gpus * replicas(deployments.get(name, {}))
    if shared > placement.cards * _FULL:
        yield (
            f"{_ARGS}.placement",
            f"the replicas without a pool want {shared:g} cards, and cards is {placement.cards}",
        )


def _memory(settings: AppSettings, name: str, place: Place) -> Iterator[Trouble]:
    """A replica must keep to its share: others on the card count on theirs."""
    share = min(1.0, place.num_gpus or 0.0)
    path, engine = f"{_ARGS}.{FIELDS[name]}", getattr(settings, FIELDS[name])
    cap = getattr(engine, _CAPS.get(name, ""), None)
    if place.gpu_memory_mb is not None and settings.placement.card_mb is not None:
        cap = place.gpu_memory_mb / settings.placement.card_mb
        path = f"{_ARGS}.placement.{FIELDS[name]}.gpu_memory_mb"
    elif name in _CAPS:
        path = f"{path}.{_CAPS[name]}"
    if share < 1 and cap is None:
        yield path, f"must be there: a replica with {share:g} of a card needs a limit to its memory"
    elif cap is not None and cap > share * _FULL:
        yield path, f"{cap:.2f} of the card's memory is more than its share, num_gpus {share:g}"


def replicas(deployment: Mapping[str, Any]) -> int:
    """As many as there may be."""
    scaling = deployment.get("autoscaling_config")
    if isinstance(scaling, dict):
        return int(scaling.get("max_replicas", 1))
    number = deployment.get("num_replicas", 1)
    return number if isinstance(number, int) else 1


def cards_needed(settings: AppSettings) -> int:
    """For one replica of each deployment."""
    return ceil(sum(settings.placement.of(name).num_gpus or 0.0 for name in FIELDS) / _FULL)


def cards_here() -> int:
    """NVIDIA's, as the driver shows them."""
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def pools(settings: AppSettings) -> set[str]:
    return {pool for name in FIELDS if (pool := settings.placement.of(name).pool) is not None}
