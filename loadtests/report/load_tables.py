"""Pictures of a run as files, and a soak's table in docs/measurements.md."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loadtests.client import oracles
from loadtests.report.load_result import PARTS, LoadResult, SystemSeen
from loadtests.report.result_store import MEASUREMENTS, keep_newest, mark_of
from loadtests.report.svg_charts import rendered
from loadtests.report.system_charts import pictures
from loadtests.report.tables import markdown, percentile

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
