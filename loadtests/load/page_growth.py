"""The part of the report about what the system held, whether that grew, and what was killed. Pure."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Final

from loadtests.load.kills import PARTS
from loadtests.load.page_costs import STYLES, by_part
from loadtests.load.pieces import figure, table
from loadtests.load.plots import Line, lines, plain
from loadtests.load.result import Kill, Load, SystemSeen

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
    of_all: dict[str, Sequence[tuple[str, str, Callable[[Load], float | None]]]] = {
        "memory": _parts(system.loads, lambda load: load.part_mb),
        "descriptors": _parts(system.loads, lambda load: load.part_fds),
        "threads": _parts(system.loads, lambda load: load.part_threads),
        "tasks": [("tasks", "one", lambda load: load.tasks)],
        "streams": [
            ("streams", "one", lambda load: load.streams),
            ("keys", "two", lambda load: load.keys),
        ],
        "log-memory": [("in memory", "one", lambda load: load.log_mb)],
        "log-disk": [("on disk", "one", lambda load: load.log_disk_mb)],
        "gateway-memory": [("gateways", "one", lambda load: load.gateway_mb)],
        "log-commands": [("commands", "one", lambda load: load.log_commands_per_s)],
    }
    found = {}
    for name, drawn in of_all.items():
        there = [load for load in system.loads if any(value(load) is not None for _, _, value in drawn)]
        shown = [Line(words, style, [value(load) for load in there]) for words, style, value in drawn]
        shown = [line for line in shown if any(value is not None for value in line.values)]
        if shown:
            found[name] = lines(_TITLES[name][0], [load.at_s for load in there], shown, plain, moments=marked)
    return found


def _parts(
    loads: Sequence[Load], values: Callable[[Load], Mapping[str, float]]
) -> list[tuple[str, str, Callable[[Load], float | None]]]:
    """A line for each part that there is."""

    def of(part: str) -> Callable[[Load], float | None]:
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


def _killed(kills: Sequence[Kill]) -> str:
    if not kills:
        return ""
    rows = [[f"{kill.at_s:.0f} s", PARTS[kill.part], _process(kill), _back(kill)] for kill in kills]
    heads = ["at", "killed", "process", "another one after"]
    return f"<h2>What was killed</h2>{table(heads, rows, numbers={0, 2, 3})}"


def _process(kill: Kill) -> str:
    return "none was there" if kill.pid is None else str(kill.pid)


def _back(kill: Kill) -> str:
    if kill.pid is None:
        return ""
    return '<span class="bad">never</span>' if kill.back_s is None else f"{kill.back_s:.1f} s"
