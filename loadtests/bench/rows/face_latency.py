"""`make bench-faces`: what each face adds to the time of words and sound, with scripted engines."""

import asyncio
import tempfile
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from time import monotonic_ns
from typing import Final

from websockets.asyncio.client import connect

from loadtests.bench.rows.stream_latency import FLOOR, SCRIPT, bare_delays, delays_row, face_delays
from loadtests.client.face_clients import FACES, HEARD, Face
from loadtests.report.command_line import command_parser
from loadtests.report.tables import ComparisonRow, heading, percentile, publish, table
from loadtests.servers.rhapsode_process import bare_stream, rhapsode

_MS: Final = 1e6
_WARM_UP: Final = 2
_SHORT: Final = {"reply": "The lamp is lit. The fox is here.", "delta_chars": 8}


def main() -> None:
    """Measure, print the table, and with --keep put it into docs/measurements.md."""
    parser = command_parser("make bench-faces ARGS=", main.__doc__, "--keep")
    parser.add_argument("--rounds", type=int, default=30, help="questions per face (default 30)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rhapsode-faces-") as folder:
        rows = [*_first(Path(folder), arguments.rounds), *_all(Path(folder))]
    publish(heading("make bench-faces") + table(rows), "make bench-faces", keep=arguments.keep)


def _first(folder: Path, rounds: int) -> list[ComparisonRow]:
    """First words and first sound of short answers, the faces taking turns."""
    with rhapsode(folder / "short", scripts={"language_model": _SHORT}) as url:
        with bare_stream(folder, _SHORT) as floor_url:
            words, floor = asyncio.run(_firsts(url, FACES, rounds, floor_url))
        sounds, _ = asyncio.run(_firsts(url, HEARD, rounds))
    native = next(iter(sounds.values()))
    said = "question to first words"
    texts = [ComparisonRow(f"{said}: {face}", "ms", ours, floor, FLOOR) for face, ours in words.items()]
    return texts + [_sound_row(face, ours, native) for face, ours in list(sounds.items())[1:]]


def _sound_row(face: str, ours: list[float], native: list[float]) -> ComparisonRow:
    extra, name = percentile(ours, 0.5) - percentile(native, 0.5), f"question to first sound: {face}"
    if face.startswith("conversations"):
        return ComparisonRow(name, "ms", ours, native, "native face", note="a whole sentence")
    kept, note = extra <= max(20.0, 0.1 * percentile(native, 0.5)), f"{extra:+.1f} ms at p50"
    return ComparisonRow(name, "ms", ours, native, "native face", "<= 10 % or 20 ms over", kept, note)


async def _firsts(
    url: str, faces: Mapping[str, Face], rounds: int, floor_url: str = ""
) -> tuple[dict[str, list[float]], list[float]]:
    """By face, beside the floor where there is one: of words there, else of sound. The first two warm up."""
    taken: dict[str, list[float]] = {name: [] for name in faces}
    floor: list[float] = []
    for _ in range(rounds + _WARM_UP):
        for name, face in faces.items():
            taken[name].append(await _until_first(face, url, speak=not floor_url))
        floor += [await _bare_first(floor_url)] if floor_url else []
    return {name: series[_WARM_UP:] for name, series in taken.items()}, floor[_WARM_UP:]


async def _until_first(face: Face, url: str, *, speak: bool) -> float:
    """From sending to the first words, or the first sound; the answer is taken to its end."""
    sent: int | None = None
    first: float | None = None
    async with aclosing(face(url, speak=speak)) as arrivals:
        async for came in arrivals:
            if sent is None:
                sent = came.at_ns
            elif first is None and (came.sound if speak else came.text):
                first = (came.at_ns - sent) / _MS
    if first is None:
        raise RuntimeError(f"{url}: nothing came")
    return first


async def _bare_first(url: str) -> float:
    async with connect(url, compression=None) as socket:
        sent = monotonic_ns()
        await socket.send("Begin")
        await socket.recv()
        return (monotonic_ns() - sent) / _MS


def _all(folder: Path) -> list[ComparisonRow]:
    """Every delta of ten streams at once, face by face."""
    rows = []
    with (
        rhapsode(folder / "long", scripts={"language_model": SCRIPT}) as url,
        bare_stream(folder, SCRIPT) as floor_url,
    ):
        for name, face in FACES.items():
            floor = asyncio.run(bare_delays(floor_url))
            rows.append(delays_row(asyncio.run(face_delays(face, url)), floor, f": {name}"))
    return rows
