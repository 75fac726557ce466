"""The tables of docs/scaling.md, each between two marks and kept equal to the costs, and its picture."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from math import log2
from typing import Any, Final

from loadtests.capacity.costs.cost_command import tables
from loadtests.capacity.simulator import graphics_cards, small_end
from loadtests.capacity.simulator.capacity_model import SessionDemand, demand, holds, size_for
from loadtests.capacity.simulator.graphics_cards import CARDS, EIGHT_BILLION
from loadtests.capacity.simulator.machine_profiles import (
    ASSISTANT,
    NARRATION,
    at_least,
    cluster,
    costs,
    laptop,
)
from loadtests.capacity.simulator.simulation import CallerModel, SimulationResult, simulate
from loadtests.capacity.simulator.small_end import ComparedSize
from loadtests.report.command_line import command_parser, numbers
from loadtests.report.svg_charts import ChartLine, Labels, label_x, lines, milliseconds, rendered
from loadtests.report.tables import ROOT, markdown, say, table_of

PEOPLE: Final[Mapping[str, CallerModel]] = {"assistant": ASSISTANT, "narration": NARRATION}
SIZES: Final = (1_000, 100_000, 10_000_000)
CELL: Final = 10_000
"""Sessions of one cell: a Ray cluster with a log of its own."""
NODE_GATEWAYS: Final = 14
"""On a machine of 16 cores: two are for Ray and the kernel."""
PARTITIONS: Final = 64
LOOKS_PER_S: Final = 5.0
"""At each partition's work, by each gateway: one in 0.2 s (`pipeline/sessions/owner_pool.py`)."""
WATCH_S: Final = 0.75
"""A gateway looks at the heads of its quiet sessions once in so long (`pipeline/eventlog/tailer.py`)."""
LEASE_CALLS_PER_S: Final = 5.2
"""For a session with an owner: a look and a renewal, measured at 2.6 a second each."""
CALL_S: Final = 5e-6
"""Of a shard's core for a call that is not an append (5 to 7 µs were measured in the design)."""
DAY_S: Final = 86_400


def demand_sheet(found: Mapping[str, Any]) -> str:
    """Table of one session's demand, each second."""
    both = [demand(found, people) for people in PEOPLE.values()]
    rows = [
        ["questions", *(f"{of.turns:.3f}" for of in both)],
        ["tokens written", *(f"{of.tokens:.1f}" for of in both)],
        ["seconds of sound made", *(f"{of.speech_s:.2f}" for of in both)],
        ["seconds of speech understood", *(f"{of.heard_s:.2f}" for of in both)],
        ["events", *(f"{of.events:.1f}" for of in both)],
        ["of a core, gateway", *(f"{100 * of.gateway_cores:.2f} %" for of in both)],
        ["of a core, log server", *(f"{100 * of.log_cores:.3f} %" for of in both)],
        ["into the log's memory", *(f"{of.log_bytes / 1_000:.1f} kB" for of in both)],
        ["into the archive", *(f"{of.archive_bytes / 1_000:.1f} kB" for of in both)],
        ["part of the time with an answer in the making", *(f"{of.running:.0%}" for of in both)],
    ]
    return markdown(["one session, each second", *PEOPLE], rows)


def holds_sheet(found: Mapping[str, Any]) -> str:
    """Sessions that one of each carries."""
    rows = []
    for name, people in PEOPLE.items():
        one = holds(found, people, graphics_cards.L40S, EIGHT_BILLION, graphics_cards.L4)
        rows += [
            [name, "a gateway (one core)", _whole(one.gateway), "measured"],
            [name, "a machine of 16 cores with gateways", _whole(NODE_GATEWAYS * one.gateway), "measured"],
            [name, "a shard of the log, by its work", _whole(one.shard_by_work), "measured"],
            [name, "a shard of the log, by 16 GB of memory", _whole(one.shard_by_memory), "measured"],
        ]
        for card in CARDS:
            that = holds(found, people, card, EIGHT_BILLION, card)
            rows.append([name, f"{card.name} that writes (8B)", _whole(that.model), "on paper"])
        if people.question_s:
            rows.append([name, "L4 that listens (large-v2)", _whole(one.transcription), "on paper"])
        rows.append([name, "a card that speaks (VITS, one replica)", _whole(one.voice), "measured"])
        voice = 0.6 / (found["engines"]["tts_cpu_s_per_s"] * demand(found, people).speech_s)
        rows.append([name, "a core that speaks (Piper)", f"{voice:.1f}", "measured"])
    return markdown(["habit", "one", "sessions", "from"], rows)


def sizes_sheet(found: Mapping[str, Any]) -> str:
    """How much of everything, at each size."""
    rows = []
    for name, people in PEOPLE.items():
        of = demand(found, people)
        for sessions in SIZES:
            size = size_for(found, people, sessions)
            cards = f"{size.models:,} / {size.transcribers:,} / {size.voices:,}"
            row = {"habit": name, "sessions": f"{sessions:,}"}
            row["gateways on machines"] = f"{size.gateways:,} on {at_least(size.gateways / NODE_GATEWAYS):,}"
            row |= {"shards": f"{size.shards:,}", "cards: L40S write / L4 listen / speak": cards}
            row["events a second"] = f"{sessions * of.events:,.0f}"
            row["archive a day"] = f"{sessions * of.archive_bytes * DAY_S / 1e12:,.1f} TB"
            rows.append(row | {"cells": f"{at_least(sessions / CELL):,}"})
    return table_of(rows)


def polling_sheet(found: Mapping[str, Any]) -> str:
    """Table of the log's calls by idle sessions, as one system and in cells."""
    rows = []
    of = demand(found, ASSISTANT)
    for sessions in SIZES:
        size = size_for(found, ASSISTANT, sessions)
        partitions = max(PARTITIONS, 1 << (size.shards - 1).bit_length())
        whole = _polling(sessions, size.gateways, partitions, of)
        cell = min(sessions, CELL)
        part = _polling(cell, size_for(found, ASSISTANT, cell).gateways, PARTITIONS, of)
        in_cells = sum(part.values()) * CALL_S * at_least(sessions / CELL)
        row = {"sessions": f"{sessions:,}", "partitions of one log": f"{partitions:,}"}
        row |= {f"{what}, a second": f"{calls:,.0f}" for what, calls in whole.items()}
        row["cores of the log for it"] = f"{sum(whole.values()) * CALL_S:,.1f}"
        rows.append(row | {f"the same in cells of {CELL:,}": f"{in_cells:,.1f}"})
    return table_of(rows)


def _polling(sessions: int, gateways: int, partitions: int, of: SessionDemand) -> dict[str, float]:
    """Calls a second."""
    return {
        "heads of quiet sessions": sessions * (1 - of.running) / WATCH_S,
        "leases kept": sessions * of.running * LEASE_CALLS_PER_S,
        "partitions looked at by every gateway": gateways * partitions * LOOKS_PER_S,
        "leases looked at by every gateway": gateways * sessions * of.running * LOOKS_PER_S,
    }


def cards_sheet(found: Mapping[str, Any]) -> str:
    """Cards for a thousand sessions, by what they are."""
    rows = []
    for name, people in PEOPLE.items():
        for card in CARDS:
            size = size_for(found, people, 1_000, card=card, speech_card=card)
            step = [graphics_cards.step_s(card, EIGHT_BILLION, batch) * 1_000 for batch in (1, 64)]
            row = {"habit": name, "card": card.name}
            row["write / listen / speak"] = f"{size.models} / {size.transcribers} / {size.voices}"
            row["a token: alone / with 63 others"] = f"{step[0]:.0f} / {step[1]:.0f} ms"
            row["answers at a time"] = f"{min(256, graphics_cards.sequences(card, EIGHT_BILLION))}"
            rows.append(row)
    return table_of(rows)


def beside_sheet(found: Mapping[str, Any]) -> str:
    """Simulated beside measured."""
    rows = []
    for kind, kept in small_end.kept().items():
        for pair in small_end.pairs(found, kept):
            measured, simulated = pair.measured, pair.simulated
            own = simulated.utilisation["machine"] * (small_end.cores_for(measured))
            row = {"engines": kind, "people": str(measured.people)}
            row["cores that strangers used"] = f"{measured.others:.1f}"
            for name, one, other in (
                ("first words", measured.ttft, simulated.ttft),
                ("first sound", measured.ttfa, simulated.ttfa),
            ):
                row[f"{name}, ms: measured; simulated"] = f"{in_ms(one)}; {in_ms(other)}"
            row["error of p50"] = f"{pair.error:+.0%}"
            row["fell silent: measured; simulated"] = f"{measured.stalled:.0%}; {simulated.stalled:.0%}"
            rows.append(row | {"cores used: measured; simulated": f"{measured.own_cores:.2f}; {own:.2f}"})
    return table_of(rows)


def laptop_sheet(found: Mapping[str, Any]) -> str:
    """The laptop profile with its real engines, alone on its two cores."""
    return table_of(
        {"habit": name} | _cells(simulate(laptop(found, people), sessions, 300.0))
        for name, people in PEOPLE.items()
        for sessions in (1, 2, 4, 6, 8)
    )


def cluster_sheet(found: Mapping[str, Any]) -> str:
    """A cluster for a hundred, with fewer and with more callers than it is made for."""
    plan = cluster(found, ASSISTANT, size_for(found, ASSISTANT, 100))
    return table_of(_cells(simulate(plan, sessions, 60.0)) for sessions in (25, 50, 100, 130, 160, 200))


def _cells(result: SimulationResult) -> dict[str, str]:
    order = sorted(result.utilisation, key=lambda name: -result.utilisation[name])[:2]
    busy = [f"{name} {result.utilisation[name]:.0%}" for name in order]
    return {
        "sessions": str(result.people),
        "first words, ms": in_ms(result.ttft),
        "first sound, ms": in_ms(result.ttfa) + ("" if result.steady else " and growing"),
        "fell silent": f"{result.stalled:.0%}",
        "busiest": busy[0],
        "next": busy[1] if len(busy) > 1 else "",
    }


def in_ms(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.0f} / {ends[1]:.0f}"


def _whole(number: float) -> str:
    return f"{number:,.0f}"


def main() -> None:
    """Look after the tables of docs/scaling.md, or measure the small end."""
    parser = command_parser("python -m loadtests simulator", main.__doc__, "--cache")
    add = parser.add_argument
    add("--write", action="store_true", help="put the tables into docs/scaling.md")
    add("--check", action="store_true", help="fail if the tables of docs/scaling.md are others")
    add("--measure", nargs="+", choices=("scripted", "real"), help="the small end, on this machine")
    add("--sessions", type=numbers, default=[1, 2, 4, 8, 16], metavar="N,N", help="default 1,2,4,8,16")
    add("--keep", action="store_true", help="with --measure: write docs/small-end.json")
    arguments = parser.parse_args()
    if not (arguments.measure or arguments.write or arguments.check):
        parser.error("say --write, --check or --measure")
    if arguments.measure:
        for row in small_end.measure(arguments.measure, arguments.sessions, arguments.cache, say):
            print(row, flush=True)
            if arguments.keep:
                small_end.keep([row])
    if arguments.write or arguments.check:
        stale = update(check=arguments.check)
        if stale and arguments.check:
            sys.exit(f"docs/scaling.md is not what the model says: {', '.join(stale)}. Run --write.")


DOCS: Final = ROOT / "docs"
PAGE: Final = DOCS / "scaling.md"
PICTURE: Final = DOCS / "pictures" / "first-sound.svg"
_BLOCK: Final = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
Sheet = Callable[[Mapping[str, Any]], str]
QUICK: Final[Mapping[str, Sheet]] = {
    "costs": tables,
    "demand": demand_sheet,
    "holds": holds_sheet,
    "sizes": sizes_sheet,
    "polling": polling_sheet,
    "money": cards_sheet,
}
"""Arithmetic only."""
SLOW: Final[Mapping[str, Sheet]] = {
    "beside": beside_sheet,
    "simulated-laptop": laptop_sheet,
    "simulated-cluster": cluster_sheet,
}
"""Simulated: they take a while."""


def update(*, check: bool, quick: bool = False) -> list[str]:
    """The names of the tables that were not what they should be; without `check` they are then."""
    found = costs()
    sheets_of = QUICK if quick else {**QUICK, **SLOW}
    stale: list[str] = []

    def renewed(match: re.Match[str]) -> str:
        head, name, end = match[1], match[2], match[3]
        if name not in sheets_of:
            return match[0]
        block = f"{head}\n{sheets_of[name](found).rstrip()}\n\n{end}"
        if block != match[0]:
            stale.append(name)
        return block

    text = PAGE.read_text(encoding="utf-8")
    new = _BLOCK.sub(renewed, text)
    if not check:
        PAGE.write_text(new, encoding="utf-8")
    if not quick:
        stale += _picture(found, check=check)
    return stale


def _picture(found: Mapping[str, Any], *, check: bool) -> list[str]:
    rows = small_end.kept().get("scripted", [])
    new = drawn(small_end.pairs(found, rows))
    if PICTURE.exists() and PICTURE.read_text(encoding="utf-8") == new:
        return []
    if not check:
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(new, encoding="utf-8")
    return [PICTURE.name]


_NAME = "Time to first audio by the number of callers: dots are measured, lines simulated"


def drawn(pairs: Sequence[ComparedSize]) -> str:
    """SVG: callers on a scale of doublings; p50 and p95."""
    sizes = [pair.measured.people for pair in pairs]
    at = [log2(size / min(sizes)) for size in sizes]
    series = [
        ChartLine(
            name,
            style,
            [pair.simulated.ttfa[end] for pair in pairs],
            points=[pair.measured.ttfa[end] for pair in pairs],
        )
        for end, (name, style) in enumerate((("p50", "one"), ("p95", "two")))
    ]

    def axis(end: float) -> Labels:
        return [(label_x(x, end), str(size), "middle") for x, size in zip(at, sizes, strict=True)]

    return rendered("alone.svg", chart=lines(_NAME, at, series, milliseconds, along=axis)) + "\n"
