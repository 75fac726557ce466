"""Runs turns at gateways of every way, in turn and round after round, and says what the tracing cost."""

import argparse
import asyncio
import tempfile
import timeit
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from loadtests.figures import percentile
from loadtests.here import commit, machine, when
from loadtests.listener import Client
from loadtests.tracing.gateways import DELTAS, Gateway, gateways
from pipeline.observability import span_names
from pipeline.observability.trace_context import span

_HISTORY: Final = Path(__file__).resolve().parents[2] / "docs" / "measurements.md"
_MARK: Final = "<!-- newest first: `make bench-tracing` writes below this line -->\n"
_MS: Final = 1e6
_SENTENCES: Final = {"min_length": 4, "first_length": 4, "first_threshold": 10, "threshold": 200}
"""The first sound follows the first delta; then about twelve sentences a turn."""
_WARM_UP: Final = 1
_CALLS: Final = 100_000


@dataclass
class Taken:
    """What the turns of one way took, in milliseconds."""

    first_audio: list[float] = field(default_factory=list)
    deltas: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Of the gateway for one turn; a figure for each round."""


def main() -> None:
    """Measure, print the table, and with --keep put it into docs/measurements.md."""
    parser = argparse.ArgumentParser(prog="make bench-tracing ARGS=", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="of each way (default 10)")
    parser.add_argument("--streams", type=int, default=6, help="turns at a time (default 6)")
    parser.add_argument("--keep", action="store_true", help="write the table into docs/measurements.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rhapsode-tracing-") as folder, gateways(Path(folder)) as found:
        taken = asyncio.run(_measure(found, arguments.rounds, arguments.streams))
    rounds = f"{arguments.rounds} rounds of {arguments.streams} turns at a time, {DELTAS} deltas a turn"
    said = f"{machine()}; `make bench-tracing`, commit {commit()}; {rounds}"
    report = f"### {when()}\n\n{said}\n\n{table(taken)}\n{unrecorded()}\n"
    print(report)
    if arguments.keep:
        before, mark, after = _HISTORY.read_text().partition(_MARK)
        _HISTORY.write_text(f"{before}{mark}\n{report}{after}")


async def _measure(found: Sequence[Gateway], rounds: int, streams: int) -> dict[str, Taken]:
    """Way after way within each round: what else the machine does meets all of them alike."""
    taken = {gateway.way: Taken() for gateway in found}
    for number in range(rounds + _WARM_UP):
        for gateway in (*found, *reversed(found)):
            before = gateway.cpu_ms()
            turns = await asyncio.gather(*(_turn(gateway.url) for _ in range(streams)))
            spent = (gateway.cpu_ms() - before) / streams
            if number >= _WARM_UP:
                mine = taken[gateway.way]
                mine.cpu.append(spent)
                for first_audio, deltas in turns:
                    mine.first_audio.append(first_audio)
                    mine.deltas += deltas
    return taken


async def _turn(url: str) -> tuple[float, list[float]]:
    """Milliseconds from the question to the first sound, and the age of each delta on its arrival."""
    client, ages, first = Client(url), [], 0.0
    try:
        session = await client.create(sentences=_SENTENCES, max_tokens=4_096)
        async with client.stream(session, after=1, audio="opus") as stream:
            sent = await stream.ask("stream")
            async for arrival in stream.arrivals():
                kind = arrival.event["type"]
                if kind == "text.delta":
                    stamps = arrival.event["data"]["text"].split()
                    ages += [(arrival.at_ns - int(stamp)) / _MS for stamp in stamps]
                elif kind == "audio.chunk" and not first:
                    first = (arrival.at_ns - sent) / _MS
                elif kind == "turn.completed":
                    return first, ages
    finally:
        await client.aclose()
    raise RuntimeError("the turn did not end")


def table(taken: dict[str, Taken]) -> str:
    """The ways beside each other, as Markdown."""
    rows = [["", *taken], ["---"] * (len(taken) + 1)]
    rows.append(["time to first audio, p50 / p95", *(_spread(one.first_audio) for one in taken.values())])
    rows.append(["a delta, engine to client, p50 / p95", *(_spread(one.deltas) for one in taken.values())])
    off = median(taken["off"].cpu)
    cpu = [f"{median(one.cpu):.1f} ms ({median(one.cpu) / off:.2f}x)" for one in taken.values()]
    rows.append(["CPU of the gateway for a turn, median of rounds", *cpu])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def _spread(series: Sequence[float]) -> str:
    return f"{percentile(series, 0.5):.2f} / {percentile(series, 0.95):.2f} ms"


def unrecorded() -> str:
    """What a place costs that would be a span, where nothing is recorded."""

    def nothing() -> None:
        with span(span_names.RETRIEVE):
            pass

    empty = min(timeit.repeat(nothing, number=_CALLS, repeat=5)) / _CALLS * 1e6
    said = f"A span that is not recorded costs {empty:.2f} us"
    return f"{said}; a turn has one, and one for each sentence, call and request."
