"""The rows, system by system: each is started once for all the rows that it can give."""

import asyncio
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from redis.exceptions import RedisError

from loadtests.bench.measured_row import MeasuredRow
from loadtests.bench.rows import append_cost, first_audio, narration_climb, session_growth, session_lengths
from loadtests.bench.rows.first_audio import first_audio_row, settings_for
from loadtests.bench.rows.stream_latency import SCRIPT, delays, delays_row, resume_row, stop_row
from loadtests.bench.voice.voice_conversation import MAX_TOKENS, VoiceScenario, direct, talk
from loadtests.client import recorded_speech
from loadtests.peers.contestants import FAILURES
from loadtests.report.tables import ROOT, ComparisonRow, percentile, say, spread
from loadtests.servers.rhapsode_process import bare_stream, rhapsode
from loadtests.servers.system_processes import SystemMeter
from schemas.errors import RhapsodeError

ROWS: Final[Mapping[str, str]] = {
    "a": "time to first audio at a client, beside the same engines called directly",
    "b": "a text delta, engine to client, beside the engine straight into a WebSocket",
    "c": "append and push beside a plain XADD; resume; stop",
    "d": "voice to voice, beside the same engines called directly (needs recordings: make system)",
    "e": "narrations at once until the first sound is 1.5 times as late, and what 200 of them give",
    "f": "memory of the gateways for a live session, beside a bare WebSocket, and as it gets longer",
    "g": "what grows with the number of sessions, and with the length of one",
    "h": "processor time for a minute of narration, beside the same engines called directly",
}


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """How much of each row."""

    pairs: int
    """a: of a client and the floor."""
    rounds: int
    """b: of ten streams each."""
    delta_s: int
    repeats: int
    """c: resumes and stops."""
    append_rounds: int
    turns: int
    """d: questions, after two that warm up."""
    narrations: tuple[int, ...]
    """e: steps of the climb."""
    step_s: float
    deltas: int
    """e: of a narration; eleven take a second."""
    held: int
    """f: sessions."""
    held_s: float
    """f: so long the first few go on."""
    sessions: tuple[int, ...]
    """g: at once."""
    windows: int
    window_s: float
    lengths: tuple[int, ...]
    length_rounds: int
    answers: int
    """h: narrations."""
    seconds: Mapping[str, int]
    """About, on two cores; with the start of the system that a row needs where it is the first on it."""


_EXTENT: Final[Mapping[str, tuple[Any, Any]]] = {
    "pairs": (20, 6),
    "rounds": (5, 3),
    "delta_s": (8, 3),
    "repeats": (40, 12),
    "append_rounds": (15, 6),
    "turns": (10, 3),
    "narrations": ((1, 10, 25, 50, 100, 150, 200, 300), (1, 50, 200)),
    "step_s": (20.0, 6.0),
    "deltas": (120, 60),
    "held": (200, 100),
    "held_s": (240.0, 24.0),
    "sessions": ((1, 10, 100, 200), (1, 10, 100, 200)),
    "windows": (5, 3),
    "window_s": (8.0, 4.0),
    "lengths": ((10, 100, 1_000, 10_000, 100_000), (10, 1_000, 100_000)),
    "length_rounds": (5, 3),
    "answers": (8, 3),
    "seconds": (
        {"a": 120, "b": 110, "c": 40, "d": 110, "e": 270, "f": 310, "g": 430, "h": 90},
        {"a": 45, "b": 40, "c": 15, "d": 35, "e": 60, "f": 50, "g": 160, "h": 20},
    ),
}
"""In full, and by --quick."""
FULL: Final = BenchPlan(**{name: full for name, (full, _) in _EXTENT.items()})
QUICK: Final = BenchPlan(**{name: quick for name, (_, quick) in _EXTENT.items()})


def expected_s(plan: BenchPlan, rows: Collection[str]) -> int:
    """About."""
    return sum(plan.seconds[row] for row in rows)


_SILENCE_MS: Final = 500
"""That the floor of a call waits before it believes that the question is over."""
_SERVE_CONFIG: Final = ROOT / "serve_config.yaml"
_ROOM: Final = 512
"""Calls that a replica of a scripted engine serves at a time: the bound is to be the machine. Delivered is
32, which is right for real engines."""
_FAILURES: Final = (*FAILURES, RedisError, RhapsodeError, ExceptionGroup)
"""Of a system, or of the way to it or to its log."""


def measure(
    rows: Collection[str], plan: BenchPlan, cache: Path, missed: Callable[[Sequence[str], Exception], None]
) -> Iterator[MeasuredRow]:
    """Row after row, as they are measured. `missed` is told of rows whose system failed; the others go on."""
    with tempfile.TemporaryDirectory(prefix="rhapsode-bench-") as made:
        folder = Path(made)
        for letters, part in _PARTS:
            wanted = [letter for letter in letters if letter in rows]
            if "d" in wanted and not recorded_speech.available():
                wanted.remove("d")
                missed("d", RuntimeError("it needs recordings: make system installs them"))
            if wanted:
                try:
                    yield from part(wanted, plan, folder, cache)
                except _FAILURES as error:
                    missed(wanted, error)


def _real(rows: Collection[str], plan: BenchPlan, folder: Path, cache: Path) -> Iterator[MeasuredRow]:
    say("starting the system with its real engines")
    home, settings = folder / "real", settings_for(cache)
    with rhapsode(home, cache=cache) as url:
        if "a" in rows:
            _begin("a", plan)
            row = asyncio.run(first_audio_row(url, settings, plan.pairs))
            yield MeasuredRow.each("a.first-audio", row)
        if "h" in rows:
            _begin("h", plan)
            with SystemMeter(home) as meter:
                narrated = asyncio.run(first_audio.narrating(url, meter, settings, plan.answers))
            yield first_audio.narrated_row(narrated)
        if "d" in rows:
            _begin("d", plan)
            yield asyncio.run(_voice(url, cache, plan.turns))


async def _voice(url: str, cache: Path, turns: int) -> MeasuredRow:
    clips = (recorded_speech.librivox() * turns)[:turns]
    await talk(url, VoiceScenario("warm-up", callers=2), clips[:1])  # of either gateway
    outcome = await talk(url, VoiceScenario("as delivered"), clips)
    if outcome.failures:
        raise RuntimeError(outcome.failures[0])
    floor = await direct(settings_for(cache), clips, MAX_TOKENS)
    name = "voice to voice, one caller, to the first audible byte"
    ours, base = (
        [each.audible for each in outcome.traces],
        [each.voice_to_voice(_SILENCE_MS) for each in floor],
    )
    floor_name = f"{_SILENCE_MS} ms of silence, then the same engines in one process"
    return MeasuredRow.each("d.voice", ComparisonRow(name, "ms", ours, base, floor_name))


def _stamped(rows: Collection[str], plan: BenchPlan, folder: Path, cache: Path) -> Iterator[MeasuredRow]:
    """Deltas that say when they were made."""
    if "c" in rows:
        _begin("c", plan)
        yield MeasuredRow.each("c.append", _append_row(plan.append_rounds))
    with _scripted(folder / "stamped", cache, language_model=SCRIPT) as url:
        if "b" in rows:
            _begin("b", plan)
            with bare_stream(folder, SCRIPT) as floor_url:
                yield _deltas(url, floor_url, plan)
        if "c" in rows:
            say(f"c: {plan.repeats} resumes and stops")
            yield MeasuredRow.each("c.resume", asyncio.run(resume_row(url, plan.repeats)))
            yield MeasuredRow.each("c.stop", asyncio.run(stop_row(url, plan.repeats)))


def _deltas(url: str, floor_url: str, plan: BenchPlan) -> MeasuredRow:
    rounds = [asyncio.run(delays(url, floor_url, plan.delta_s)) for _ in range(plan.rounds)]
    ours, floor = ([one[side] for one in rounds] for side in (0, 1))
    row = delays_row([ms for one in ours for ms in one], [ms for one in floor for ms in one])
    return MeasuredRow("b.delta", row, ours, floor)


def _append_row(rounds: int) -> ComparisonRow:
    found = append_cost.measure(rounds)
    ratios = [mine / base for base, mine in found]
    middle, most = percentile(ratios, 0.5), append_cost.BUDGET
    plain, ours = zip(*found, strict=True)
    name, budget = "append + push, server CPU per event, batches of 4", f"<= {most}x at p50"
    note = f"ratio within a round {spread(ratios, 2)}"
    return ComparisonRow(name, "us", ours, plain, "pipelined plain XADD", budget, middle <= most, note)


def _memory(rows: Collection[str], plan: BenchPlan, folder: Path, cache: Path) -> Iterator[MeasuredRow]:
    home = folder / "memory"
    with _scripted(home, cache, **narration_climb.SCRIPTS) as url:
        _begin("f", plan)
        wish = {"max_tokens": plan.deltas}
        with bare_stream(folder, narration_climb.WRITER) as bare:
            held = asyncio.run(session_growth.holding(url, home, bare, plan.held, wish, plan.held_s))
        yield from session_growth.memory_rows(held)


def _narrations(rows: Collection[str], plan: BenchPlan, folder: Path, cache: Path) -> Iterator[MeasuredRow]:
    """On a system of its own: the answers that a group of callers has left are written to their ends."""
    with _scripted(folder / "narrations", cache, **narration_climb.SCRIPTS) as url:
        _begin("e", plan)
        climbed = asyncio.run(narration_climb.climbing(url, plan.narrations, plan.step_s, plan.deltas))
        yield from narration_climb.climb_rows(climbed)


def _growth(rows: Collection[str], plan: BenchPlan, folder: Path, cache: Path) -> Iterator[MeasuredRow]:
    home = folder / "growth"
    with _scripted(home, cache, language_model=session_growth.SCRIPT) as url, SystemMeter(home) as meter:
        _begin("g", plan)
        found = asyncio.run(session_lengths.lengthening(url, home, plan.lengths, plan.length_rounds))
        yield from session_lengths.length_rows(found)
        points = asyncio.run(session_growth.growing(url, meter, plan.sessions, plan.windows, plan.window_s))
        yield from session_growth.growth_rows(points)


_Part = Callable[[Collection[str], BenchPlan, Path, Path], Iterator[MeasuredRow]]
_PARTS: Final[tuple[tuple[str, _Part], ...]] = (
    ("adh", _real),
    ("bc", _stamped),
    ("f", _memory),
    ("e", _narrations),
    ("g", _growth),
)


def _scripted(home: Path, cache: Path, **scripts: dict[str, Any]) -> AbstractContextManager[str]:
    """A system whose engines do what is said here; yields its URL."""
    say("starting a system with scripted engines")
    return rhapsode(home, cache=cache, scripts=scripts, config=_roomy(home))


def _roomy(home: Path) -> Path:
    """The configuration that is delivered, but for how many calls words and voices take at a time."""
    home.mkdir(parents=True)
    file = home / "bench.yaml"
    config = yaml.safe_load(_SERVE_CONFIG.read_text())
    for deployment in config["applications"][0]["deployments"]:
        if deployment["name"] in ("LanguageModel", "TextToSpeech"):
            deployment["max_ongoing_requests"] = _ROOM
    file.write_text(yaml.safe_dump(config))
    return file


def _begin(row: str, plan: BenchPlan) -> None:
    say(f"{row}: about {plan.seconds[row]} s")
