"""The parts of the load report about the system: what it used, what it held, and what was killed. Pure."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Final

from loadtests.report.load_result import ProcessKill, SystemLoad, SystemSeen
from loadtests.report.svg_charts import ChartDots, ChartLine, dots, figure, lines, plain, table
from loadtests.runner.process_killer import PARTS

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


def _by_people(loads: Sequence[SystemLoad]) -> list[str]:
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

    def grown(load: SystemLoad) -> dict[str, float]:
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


def _whole(loads: Sequence[SystemLoad]) -> list[str]:
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
        points = dots("Memory per person", [ChartDots("gateways", "one", memory)], plain)
        drawn.append(figure("Memory per person", words, points))
    asked = [
        (load.people, load.log_commands_per_s / load.people)
        for load in loads
        if load.log_commands_per_s is not None and load.people >= fewest
    ]
    if asked:
        points = dots("Log commands per person", [ChartDots("log server", "two", asked)], plain)
        drawn.append(figure("Commands of the log server per person", "each second, by people inside", points))
    return drawn


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


def growth(system: SystemSeen) -> str:
    """Only what could be looked at."""
    if not system.loads:
        return ""
    killed = "; a line is a process that was killed" if system.kills else ""
    charts = "".join(
        figure(title, f"{words}, over time{killed}", drawing)
        for name, drawing in pictures(system).items()
        for title, words in [_TITLES[name]]
    )
    return f'<h2>What it held, and whether that grew</h2><div class="charts">{charts}</div>' + "".join(
        (_grown(system), _killed(system.kills))
    )


def pictures(system: SystemSeen) -> dict[str, str]:
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


def _grown(system: SystemSeen) -> str:
    """What grew by how much in a minute."""
    parts = sorted({*system.growth_mb_per_min, *system.fd_growth_per_min, *system.thread_growth_per_min})
    kinds = (system.growth_mb_per_min, system.fd_growth_per_min, system.thread_growth_per_min)
    rows = [
        [escape(part), *("" if part not in kind else f"{kind[part]:+.3f}" for kind in kinds)]
        for part in parts
    ]
    others = {
        "gateways' memory, as they tell it": system.gateway_growth_mb_per_min,
        "tasks": system.task_growth_per_min,
        "streams": system.stream_growth_per_min,
        "keys": system.key_growth_per_min,
        "processes": system.process_growth_per_min,
    }
    more = [[name, f"{value:+.3f}"] for name, value in others.items() if value is not None]
    if not rows and not more:
        return '<p class="soft">too short a run to say whether anything grows</p>'
    said = (
        "Growth of processes is that of each while it lives, beyond its beginning; of the rest, the slope of "
        "the second half."
    )
    heads = ["part", "MB a minute", "descriptors a minute", "threads a minute"]
    by_parts = table(heads, rows, numbers={1, 2, 3}) if rows else ""
    by_name = table(["of all", "a minute"], more, numbers={1}) if more else ""
    return f'<p class="soft">{said}</p>{by_parts}{by_name}'


def _killed(kills: Sequence[ProcessKill]) -> str:
    if not kills:
        return ""
    rows = [[f"{kill.at_s:.0f} s", PARTS[kill.part], _process(kill), _back(kill)] for kill in kills]
    heads = ["at", "killed", "process", "another one after"]
    return f"<h2>What was killed</h2>{table(heads, rows, numbers={0, 2, 3})}"


def _process(kill: ProcessKill) -> str:
    return "none was there" if kill.pid is None else str(kill.pid)


def _back(kill: ProcessKill) -> str:
    if kill.pid is None:
        return ""
    return '<span class="bad">never</span>' if kill.back_s is None else f"{kill.back_s:.1f} s"
