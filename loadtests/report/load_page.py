"""The load report: one page that needs nothing else, its pictures as files, and a soak's table."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from loadtests.client import oracles
from loadtests.client.caller_record import SERIES
from loadtests.report.load_result import PARTS, LoadResult, SystemLoad, SystemSeen
from loadtests.report.svg_charts import (
    ChartDots,
    ChartLine,
    Figure,
    dots,
    histogram,
    lines,
    milliseconds,
    plain,
    rendered,
)
from loadtests.report.tables import MEASUREMENTS, keep_newest, mark_of, markdown, percentile

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
_Charts = Sequence[tuple[str, str, Callable[[SystemLoad], Mapping[str, float]]]]
_FEWEST: Final = 0.1
"""Of the most callers: with fewer, a caller's share of a fixed cost hides how the rest grows."""


def cost_values(system: SystemSeen) -> dict[str, Any]:
    """Of templates/system_costs.html."""
    return {"system": system, "by_callers": _by_callers(system.loads) if system.loads else []}


def _by_callers(loads: Sequence[SystemLoad]) -> list[Figure]:
    """As load grows: what all of it takes, and each caller's part; less where the parts are not ours."""
    begins, fewest = by_part(loads[0].part_mb), max(3.0, _FEWEST * max(load.people for load in loads))
    began = next((load.gateway_mb for load in loads if load.gateway_mb is not None), 0.0)

    def each(load: SystemLoad, values: Mapping[str, float]) -> dict[str, float]:
        enough = load.people >= fewest
        return {part: max(0.0, value) / load.people for part, value in values.items()} if enough else {}

    def cores(load: SystemLoad) -> dict[str, float]:
        return each(load, {part: 1_000 * used for part, used in by_part(load.part_cores).items()})

    def grown(load: SystemLoad) -> dict[str, float]:
        held = by_part(load.part_mb).items()
        return each(load, {part: value - begins.get(part, 0.0) for part, value in held})

    def memory(load: SystemLoad) -> dict[str, float]:
        return {} if load.gateway_mb is None else each(load, {"gateways": load.gateway_mb - began})

    def asked(load: SystemLoad) -> dict[str, float]:
        told = load.log_commands_per_s
        return {} if told is None else each(load, {"log server": told})

    shared = "thousandths of a core, by callers inside; falls while a fixed cost is shared"
    before, inside = "above what it was before anybody came", "by callers inside"
    ours: _Charts = (
        ("Cores used", f"by part, {inside}", lambda load: by_part(load.part_cores)),
        ("Processor time per person", shared, cores),
        ("Memory per person", f"MB {before}, {inside}; freed memory may still be held", grown),
    )
    theirs: _Charts = (
        ("Memory per person", f"MB of the gateways {before}, {inside}", memory),
        ("Commands of the log server per person", f"each second, {inside}", asked),
    )
    figures = ours if any(load.part_cores for load in loads) else theirs
    return [
        (title, words, dots(title, drawn, plain))
        for title, words, of in figures
        if (drawn := _series(loads, of))
    ]


def by_part(roles: Mapping[str, float]) -> dict[str, float]:
    """Gateways, log server, engines, and the rest."""
    found: dict[str, float] = {}
    for role, value in roles.items():
        part = _ROLES.get(role, _REST)
        found[part] = found.get(part, 0.0) + value
    return found


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


TABLES: Final = MEASUREMENTS
MARK: Final = mark_of("make load")


def plotted(system: SystemSeen, prefix: str, folder: Path) -> list[Path]:
    """Each picture as a file that needs no page round it: `folder`/`prefix`-memory.svg and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, drawing in pictures(system).items():
        file = folder / f"{prefix}-{name}.svg"
        file.write_text(rendered("alone.svg", chart=drawing) + "\n", "utf-8")
        files.append(file)
    return files


def keep(result: LoadResult, tables: Path = TABLES) -> None:
    """The table on top of the others. Raises ValueError where there is no place for it."""
    keep_newest(report(result), MARK, tables)


def report(result: LoadResult) -> str:
    """Markdown."""
    rows = [*_people(result), *_kills(result), *_growth(result.system)]
    wishes = [
        (f"`{one.wish}`", f"{_number(one.value)}: {'kept' if one.kept else 'NOT KEPT'}")
        for one in result.requirements
    ]
    said = f"{result.machine}; `{result.command}`, commit {result.commit}; {result.seconds:.0f} s"
    return f"### {result.when}\n\n{said}\n\n{markdown(('what', 'found'), (*rows, *wishes))}"


def _people(result: LoadResult) -> Sequence[tuple[str, str]]:
    people, judged = result.people, result.judgement
    faults = ", ".join(f"{kind} {judged.counts[kind]}" for kind in oracles.KINDS)
    given_up = ", ".join(f"{what} {times}" for what, times in judged.given_up.items()) or "nothing"
    return (
        (
            "people",
            f"{people.planned} came, {people.fine} fine, {people.refused} refused, {people.failed} failed, "
            f"{people.unfinished} unfinished; most at once {people.most_at_once}",
        ),
        ("what they heard", f"{judged.facts} events, {judged.answers} answers; {faults}"),
        ("read again from the log", f"{judged.compared_with_log} sessions"),
        ("the system said that it could not", given_up),
        ("connections that broke and were gone on with", str(people.broken)),
    )


def _kills(result: LoadResult) -> Sequence[tuple[str, str]]:
    kills = result.system.kills
    if not kills:
        return ()
    rows = []
    for part, words in PARTS.items():
        of_part = [kill for kill in kills if kill.part == part and kill.pid is not None]
        back = [kill.back_s for kill in of_part if kill.back_s is not None]
        took = f"; another one after {percentile(back, 0.5):.1f} s, at most {max(back):.1f} s" if back else ""
        never = len(of_part) - len(back)
        rows.append((f"killed: {words}", f"{len(of_part)} times{took}{f'; {never} never' if never else ''}"))
    if missed := sum(kill.pid is None for kill in kills):
        rows.append(("kills that found nobody", str(missed)))
    return rows


def _growth(system: SystemSeen) -> Sequence[tuple[str, str]]:
    def parts(values: dict[str, float]) -> str:
        return ", ".join(f"{part} {value:+.3f}" for part, value in values.items()) or "too short to say"

    return (
        ("gateways' memory, MB a minute", _signed(system.gateway_growth_mb_per_min)),
        ("memory by part, MB a minute", parts(system.growth_mb_per_min)),
        ("file descriptors, a minute", parts(system.fd_growth_per_min)),
        ("threads, a minute", parts(system.thread_growth_per_min)),
        ("tasks, a minute", _signed(system.task_growth_per_min)),
        ("streams in the log, a minute", _signed(system.stream_growth_per_min)),
        ("keys in the log, a minute", _signed(system.key_growth_per_min)),
        ("processes, a minute", _signed(system.process_growth_per_min)),
    )


def _signed(value: float | None) -> str:
    return "too short to say" if value is None else f"{value:+.3f}"


def _number(value: float | None) -> str:
    return "no figures" if value is None else f"{value:g}"


_NAMES: Final = {
    "ttfa": "Time to first audio",
    "v2v": "Voice to voice",
    "ttft": "Time to first text",
    "whole": "The whole answer",
    "open": "Opening a session and connecting",
    "resume": "Coming back",
    "held": "Silent when spoken over",
    "flushed": "Given up when spoken over",
}


def page(result: LoadResult) -> str:
    """HTML."""
    latencies = [
        (title, SERIES[name], found, histogram(title, found))
        for name, title in _NAMES.items()
        if (found := result.latencies.get(name)) is not None
    ]
    return rendered(
        "load.html",
        result=result,
        kinds=oracles.KINDS,
        tiles=_tiles(result),
        latencies=latencies,
        timelines=_timelines(result),
        **(cost_values(result.system) | growth_values(result.system)),
    )


def _tiles(result: LoadResult) -> list[tuple[str, str, str]]:
    """Value, caption, style."""
    callers, judged = result.people, result.judgement
    faults = sum(judged.counts[kind] for kind in oracles.NEVER)
    share = f"{judged.answers_with_gaps / judged.answers:.1%}" if judged.answers else "–"
    latencies = [
        (milliseconds(found.p50), f"{words}, median; p95 {milliseconds(found.p95)}", "")
        for name, words in (("ttfa", "to first audio"), ("v2v", "voice to voice"))
        if (found := result.latencies.get(name)) is not None
    ]
    missing = []
    if callers.unfinished or callers.refused_by_us:
        words = f"unfinished; {callers.refused_by_us} this client had no room for"
        missing.append((f"{callers.unfinished}", words, "warn"))
    if callers.lost_with_process:
        missing.append((f"{callers.lost_with_process}", "lost with a process of this client", "bad"))
    return [
        (f"{callers.planned}", f"callers came, {callers.most_at_once} at once", ""),
        (f"{callers.refused}", "refused politely", "warn" if callers.refused else ""),
        (f"{callers.failed}", "failed", "bad" if callers.failed else "good"),
        *missing,
        *latencies,
        (share, "of the answers had a gap", "warn" if judged.answers_with_gaps else "good"),
        (f"{faults}", "lost, doubled, cut or mixed up", "bad" if faults else "good"),
    ]


def _timelines(result: LoadResult) -> list[Figure]:
    moments = result.timeline
    at_s = [moment.at_s for moment in moments]
    kills = [(kill.at_s, f"{kill.at_s:.0f} s: {PARTS[kill.part]} killed") for kill in result.system.kills]
    step = f"{at_s[1] - at_s[0]:.3g} s" if len(at_s) > 1 else "run"
    callers = [ChartLine("callers", "one", [moment.people for moment in moments], filled=True)]
    came = [ChartLine("came", "one", [float(moment.came) for moment in moments], filled=True)]
    audio = [
        ChartLine("p50", "one", [moment.ttfa_p50_ms for moment in moments]),
        ChartLine("p95", "two", [moment.ttfa_p95_ms for moment in moments]),
    ]
    gone = [
        ChartLine("refused", "warn", [float(moment.refused) for moment in moments]),
        ChartLine("failed", "bad", [float(moment.failed) for moment in moments]),
    ]
    return [
        (title, words, lines(title, at_s, drawn, shown, moments=kills))
        for title, words, drawn, shown in (
            ("Callers at once", "inside the system", callers, plain),
            ("Arrivals", f"per {step}, as planned beforehand", came, plain),
            (
                "Time to first audio",
                "typed and spoken questions, by when the wait began",
                audio,
                milliseconds,
            ),
            ("Turned away", f"per {step}, when they left", gone, plain),
        )
    ]
