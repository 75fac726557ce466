"""The part of the report about what the system used, and for how many people. Pure."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Final

from loadtests.load.pieces import figure
from loadtests.load.plots import Dots, dots, plain
from loadtests.load.result import Load, SystemSeen

_ROLES: Final = {
    "Gateway": "gateways",
    "Log server": "log server",
    "LanguageModel": "engines",
    "TextToSpeech": "engines",
    "SpeechToText": "engines",
    "QualitySpeechToText": "engines",
}
_REST: Final = "Ray, rest"
STYLES: Final = {"gateways": "one", "log server": "two", "engines": "three", _REST: "four"}
_FEWEST: Final = 0.1
"""Of the most people: with fewer, a person's share of a fixed cost hides how the rest grows."""


def costs(system: SystemSeen) -> str:
    """Only what could be looked at."""
    if not system.loads:
        why = escape(system.why_not or "the run was too short")
        return f'<h2>What it cost the system</h2><p class="soft">Not looked at: {why}</p>'
    charts = f'<div class="charts">{"".join(_by_people(system.loads))}</div>'
    return f"<h2>What it cost the system</h2>{charts}"


def _by_people(loads: Sequence[Load]) -> list[str]:
    """As load grows: what all of it takes, and each person's part."""
    if not any(load.part_cores for load in loads):
        return _whole(loads)
    begins, fewest = by_part(loads[0].part_mb), _fewest(loads)
    cores = _series(loads, lambda load: by_part(load.part_cores))
    each_core = _series(
        loads,
        lambda load: _each(
            load, {part: 1_000 * used for part, used in by_part(load.part_cores).items()}, fewest
        ),
    )

    def grown(load: Load) -> dict[str, float]:
        held = by_part(load.part_mb)
        return _each(load, {part: value - begins.get(part, 0.0) for part, value in held.items()}, fewest)

    memory = _series(loads, grown)
    return [
        figure("Cores used", "by part, by people inside", dots("Cores by people", cores, plain)),
        figure(
            "Processor time per person",
            "thousandths of a core, by people inside; falls while a fixed cost is shared",
            dots("Cores per person", each_core, plain),
        ),
        figure(
            "Memory per person",
            "MB above what it was before anybody came, by people inside; freed memory may still be held",
            dots("Memory per person", memory, plain),
        ),
    ]


def _whole(loads: Sequence[Load]) -> list[str]:
    """Of a system whose parts are not ours to look at."""
    drawn, fewest = [], _fewest(loads)
    began = next((load.gateway_mb for load in loads if load.gateway_mb is not None), 0.0)
    memory = [
        (load.people, max(0.0, load.gateway_mb - began) / load.people)
        for load in loads
        if load.gateway_mb is not None and load.people >= fewest
    ]
    if memory:
        words = "MB of the gateways above what it was before anybody came, by people inside"
        points = dots("Memory per person", [Dots("gateways", "one", memory)], plain)
        drawn.append(figure("Memory per person", words, points))
    asked = [
        (load.people, load.log_commands_per_s / load.people)
        for load in loads
        if load.log_commands_per_s is not None and load.people >= fewest
    ]
    if asked:
        points = dots("Log commands per person", [Dots("log server", "two", asked)], plain)
        drawn.append(figure("Commands of the log server per person", "each second, by people inside", points))
    return drawn


def by_part(roles: Mapping[str, float]) -> dict[str, float]:
    """Gateways, log server, engines, and the rest."""
    found: dict[str, float] = {}
    for role, value in roles.items():
        part = _ROLES.get(role, _REST)
        found[part] = found.get(part, 0.0) + value
    return found


def _fewest(loads: Sequence[Load]) -> float:
    return max(3.0, _FEWEST * max(load.people for load in loads))


def _each(load: Load, values: Mapping[str, float], fewest: float) -> dict[str, float]:
    if load.people < fewest:
        return {}
    return {part: max(0.0, value) / load.people for part, value in values.items()}


def _series(loads: Sequence[Load], values: Callable[[Load], Mapping[str, float]]) -> list[Dots]:
    found: dict[str, list[tuple[float, float]]] = {part: [] for part in STYLES}
    for load in loads:
        for part, value in values(load).items():
            found[part].append((load.people, value))
    return [Dots(part, STYLES[part], points) for part, points in found.items() if points]
