"""Cost of tracing for a turn: gateways without it, with a tenth of the turns traced, and with all."""

import asyncio
import sys
import tempfile
import timeit
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

import psutil

from loadtests.bench.rows.stream_latency import ages
from loadtests.client.api_connection import ApiConnection
from loadtests.report.command_line import command_parser
from loadtests.report.tables import heading, markdown, publish, spread
from loadtests.servers.bare_gateway import bare_gateway, scripted_settings
from loadtests.servers.rhapsode_process import answers, child_process, free_port
from pipeline.observability import span_names
from pipeline.observability.tracer import span

WAYS: Final[Mapping[str, float | None]] = {"off": None, "10 %": 0.1, "on": 1.0}
"""The share of turns that is traced; None: the tracer is not even there."""
DELTAS: Final = 120
_SCRIPT: Final = {"stamp": True, "delta_chars": 1, "per_delta_ms": 10, "reply": "x" * DELTAS}
_SPEECH: Final = {"ms_per_char": 0.6}
"""A delta is a time stamp, and is read digit by digit. At a usual pace it would be Opus that is measured."""


@dataclass(frozen=True)
class TracedGateway:
    """A process of one way."""

    way: str
    url: str
    process: psutil.Process

    def cpu_ms(self) -> float:
        """Of all its threads until now."""
        times = self.process.cpu_times()
        return float(times.user + times.system) * 1_000


@contextmanager
def gateways(folder: Path) -> Iterator[list[TracedGateway]]:
    """All of them, ready; none is left afterwards."""
    port = free_port()
    command = [sys.executable, "-m", "loadtests.servers.trace_sink", str(port)]
    with (
        child_process(command, folder / "sink.txt", answers(f"http://127.0.0.1:{port}")),
        ExitStack() as held,
    ):
        yield [held.enter_context(_gateway(folder / f"way-{n}", way, port)) for n, way in enumerate(WAYS)]


@contextmanager
def _gateway(home: Path, way: str, collector: int) -> Iterator[TracedGateway]:
    ratio = WAYS[way]
    sampled = {} if ratio is None else {"sample_ratio": ratio}
    tracing = {"enabled": ratio is not None, "endpoint": f"http://127.0.0.1:{collector}", **sampled}
    with bare_gateway(scripted_settings(home, _SCRIPT, _SPEECH, tracing=tracing)) as url:
        [ready] = home.glob("ready-*")
        yield TracedGateway(way, url, psutil.Process(int(ready.name.removeprefix("ready-"))))


_MS: Final = 1e6
_SENTENCES: Final = {"min_length": 4, "first_length": 4, "first_threshold": 10, "threshold": 200}
"""The first sound follows the first delta; then about twelve sentences a turn."""
_WARM_UP: Final = 1
_CALLS: Final = 100_000


@dataclass
class TracedTurns:
    """Latencies of one way's turns, in milliseconds."""

    first_audio: list[float] = field(default_factory=list)
    deltas: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Of the gateway for one turn; a figure for each round."""


def main() -> None:
    """Measure, print the table, and with --keep put it into docs/measurements.md."""
    parser = command_parser("make bench-tracing ARGS=", main.__doc__, "--keep")
    parser.add_argument("--rounds", type=int, default=10, help="of each way (default 10)")
    parser.add_argument("--streams", type=int, default=6, help="turns at a time (default 6)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rhapsode-tracing-") as folder, gateways(Path(folder)) as found:
        taken = asyncio.run(_measure(found, arguments.rounds, arguments.streams))
    rounds = f"{arguments.rounds} rounds of {arguments.streams} turns at a time, {DELTAS} deltas a turn"
    report = heading("make bench-tracing", f"; {rounds}") + f"{ways_table(taken)}\n{unrecorded()}\n"
    publish(report, "make bench-tracing", keep=arguments.keep)


async def _measure(found: Sequence[TracedGateway], rounds: int, streams: int) -> dict[str, TracedTurns]:
    """Way after way within each round: what else the machine does meets all of them alike."""
    taken = {gateway.way: TracedTurns() for gateway in found}
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
    found, first = list[float](), 0.0
    async with ApiConnection(url) as client:
        session = await client.create(sentences=_SENTENCES, max_tokens=4_096)
        async with client.stream(session, after=1, audio="opus") as stream:
            sent = await stream.ask("stream")
            async for arrival in stream.until_over():
                if arrival.type == "text.delta":
                    found += ages(arrival.data["text"], arrival.at_ns)
                elif arrival.type == "audio.chunk" and not first:
                    first = (arrival.at_ns - sent) / _MS
                elif arrival.type in ("turn.failed", "turn.stopped"):
                    raise RuntimeError(str(arrival.event))
    return first, found


def ways_table(taken: dict[str, TracedTurns]) -> str:
    """The ways beside each other, as Markdown."""
    rows = [["time to first audio, p50 / p95", *(_spread(one.first_audio) for one in taken.values())]]
    rows.append(["a delta, engine to client, p50 / p95", *(_spread(one.deltas) for one in taken.values())])
    off = median(taken["off"].cpu)
    cpu = [f"{median(one.cpu):.1f} ms ({median(one.cpu) / off:.2f}x)" for one in taken.values()]
    rows.append(["CPU of the gateway for a turn, median of rounds", *cpu])
    return markdown(["", *taken], rows)


def _spread(series: Sequence[float]) -> str:
    return f"{spread(series, 2)} ms"


def unrecorded() -> str:
    """Cost of a span that is not recorded, in words."""

    def nothing() -> None:
        with span(span_names.RETRIEVE):
            pass

    empty = min(timeit.repeat(nothing, number=_CALLS, repeat=5)) / _CALLS * 1e6
    said = f"A span that is not recorded costs {empty:.2f} us"
    return f"{said}; a turn has one, and one for each sentence, call and request."
