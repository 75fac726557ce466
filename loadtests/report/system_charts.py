"""The parts of the load report about the system: what it used, what it held, and what was killed. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from loadtests.report.load_result import PARTS, SystemLoad, SystemSeen
from loadtests.report.svg_charts import ChartDots, ChartLine, Figure, dots, lines, plain

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
"""Of the most callers: with fewer, a caller's share of a fixed cost hides how the rest grows."""


def cost_values(system: SystemSeen) -> dict[str, Any]:
    """Of templates/system_costs.html."""
    return {"system": system, "by_callers": _by_callers(system.loads) if system.loads else []}


def _by_callers(loads: Sequence[SystemLoad]) -> list[Figure]:
    """As load grows: what all of it takes, and each caller's part."""
    if not any(load.part_cores for load in loads):
        return _whole(loads)
    begins, fewest = by_part(loads[0].part_mb), _fewest(loads)

    def each_core(load: SystemLoad) -> dict[str, float]:
        return _each(load, {part: 1_000 * used for part, used in by_part(load.part_cores).items()}, fewest)

    def grown(load: SystemLoad) -> dict[str, float]:
        held = by_part(load.part_mb)
        return _each(load, {part: value - begins.get(part, 0.0) for part, value in held.items()}, fewest)

    figures = (
        ("Cores used", "by part, by callers inside", lambda load: by_part(load.part_cores)),
        (
            "Processor time per person",
            "thousandths of a core, by callers inside; falls while a fixed cost is shared",
            each_core,
        ),
        (
            "Memory per person",
            "MB above what it was before anybody came, by callers inside; freed memory may still be held",
            grown,
        ),
    )
    return [(title, words, dots(title, _series(loads, of), plain)) for title, words, of in figures]


def _whole(loads: Sequence[SystemLoad]) -> list[Figure]:
    """Of a system whose parts are not ours to look at."""
    fewest = _fewest(loads)
    began = next((load.gateway_mb for load in loads if load.gateway_mb is not None), 0.0)
    enough = [load for load in loads if load.people >= fewest]
    memory = [
        (load.people, max(0.0, load.gateway_mb - began) / load.people)
        for load in enough
        if load.gateway_mb is not None
    ]
    asked = [
        (load.people, load.log_commands_per_s / load.people)
        for load in enough
        if load.log_commands_per_s is not None
    ]
    words = "MB of the gateways above what it was before anybody came, by callers inside"
    figures = (
        ("Memory per person", words, ChartDots("gateways", "one", memory)),
        (
            "Commands of the log server per person",
            "each second, by callers inside",
            ChartDots("log server", "two", asked),
        ),
    )
    return [(title, words, dots(title, [drawn], plain)) for title, words, drawn in figures if drawn.points]


def by_part(roles: Mapping[str, float]) -> dict[str, float]:
    """Gateways, log server, engines, and the rest."""
    found: dict[str, float] = {}
    for role, value in roles.items():
        part = _ROLES.get(role, _REST)
        found[part] = found.get(part, 0.0) + value
    return found


def _fewest(loads: Sequence[SystemLoad]) -> float:
    return max(3.0, _FEWEST * max(load.people for load in loads))


def _each(load: SystemLoad, values: Mapping[str, float], fewest: float) -> dict[str, float]:
    if load.people < fewest:
        return {}
    return {part: max(0.0, value) / load.people for part, value in values.items()}


def _series(
    loads: Sequence[SystemLoad], values: Callable[[SystemLoad], Mapping[str, float]]
) -> list[ChartDots]:
    found: dict[str, list[tuple[float, float]]] = {part: [] for part in STYLES}
    for load in loads:
        for part, value in values(load).items():
            found[part].append((load.people, value))
    return [ChartDots(part, STYLES[part], points) for part, points in found.items() if points]


_TITLES: Final = {
    "memory": ("Memory", "MB resident, by part"),
    "descriptors": ("File descriptors", "open, by part"),
    "threads": ("Threads", "by part"),
    "tasks": ("Tasks", "on the event loops of gateways and workers"),
    "streams": ("Streams in the log", "beside keys that do not expire"),
    "log-memory": ("The log in memory", "MB"),
    "log-disk": ("The log on disk", "MB"),
    "gateway-memory": ("Memory of the gateways", "MB, as they tell it themselves"),
    "log-commands": ("Commands of the log server", "per second"),
}
"""Every picture by the name of its file: its title, and what it shows."""


def growth_values(system: SystemSeen) -> dict[str, Any]:
    """Of templates/system_growth.html."""
    kinds = (system.growth_mb_per_min, system.fd_growth_per_min, system.thread_growth_per_min)
    grown = [
        [part, *("" if part not in kind else f"{kind[part]:+.3f}" for kind in kinds)]
        for part in sorted({part for kind in kinds for part in kind})
    ]
    others = {
        "gateways' memory, as they tell it": system.gateway_growth_mb_per_min,
        "tasks": system.task_growth_per_min,
        "streams": system.stream_growth_per_min,
        "keys": system.key_growth_per_min,
        "processes": system.process_growth_per_min,
    }
    return {
        "system": system,
        "parts": PARTS,
        "over_time": [(*_TITLES[name], drawing) for name, drawing in pictures(system).items()],
        "grown": grown,
        "grown_of_all": [[name, f"{value:+.3f}"] for name, value in others.items() if value is not None],
    }


def pictures(system: SystemSeen) -> dict[str, Markup]:
    """SVG by name, of what there was to be seen."""
    marked = [(kill.at_s, f"{kill.at_s:.0f} s: {PARTS[kill.part]}") for kill in system.kills]
    of_all: dict[str, Sequence[tuple[str, str, Callable[[SystemLoad], float | None]]]] = {
        "memory": _parts(system.loads, lambda load: load.part_mb),
        "descriptors": _parts(system.loads, lambda load: load.part_fds),
        "threads": _parts(system.loads, lambda load: load.part_threads),
        "tasks": [("tasks", "one", lambda load: load.tasks)],
        "streams": [("streams", "one", lambda load: load.streams), ("keys", "two", lambda load: load.keys)],
        "log-memory": [("in memory", "one", lambda load: load.log_mb)],
        "log-disk": [("on disk", "one", lambda load: load.log_disk_mb)],
        "gateway-memory": [("gateways", "one", lambda load: load.gateway_mb)],
        "log-commands": [("commands", "one", lambda load: load.log_commands_per_s)],
    }
    found = {}
    for name, drawn in of_all.items():
        there = [load for load in system.loads if any(value(load) is not None for _, _, value in drawn)]
        shown = [ChartLine(words, style, [value(load) for load in there]) for words, style, value in drawn]
        shown = [line for line in shown if any(value is not None for value in line.values)]
        if shown:
            found[name] = lines(_TITLES[name][0], [load.at_s for load in there], shown, plain, moments=marked)
    return found


def _parts(
    loads: Sequence[SystemLoad], values: Callable[[SystemLoad], Mapping[str, float]]
) -> list[tuple[str, str, Callable[[SystemLoad], float | None]]]:
    """A line for each part that there is."""

    def of(part: str) -> Callable[[SystemLoad], float | None]:
        return lambda load: by_part(values(load)).get(part)

    return [(part, style, of(part)) for part, style in STYLES.items() if any(map(of(part), loads))]
