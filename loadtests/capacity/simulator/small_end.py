"""The small end, measured and simulated: a gateway with its engines in one process, and a few callers."""

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import psutil

from loadtests.bench.rows.first_audio import PROMPTS
from loadtests.capacity.simulator.machine_profiles import laptop
from loadtests.capacity.simulator.simulation import (
    CallerModel,
    RateCurve,
    SimulationPlan,
    SimulationResult,
    SpeechModel,
    WorkStage,
    simulate,
)
from loadtests.client.received_answers import CallerPlan, CallerResults, ask_together
from loadtests.report.tables import ROOT, machine, percentile, when
from loadtests.scenarios.prompts import STORY
from loadtests.servers.bare_gateway import bare_gateway, scripted_settings
from loadtests.servers.system_processes import SystemMeter
from pipeline.tts.sentence_buffer import SentenceBuffer
from schemas.settings import AppSettings, SentenceSettings

KEPT: Final = ROOT / "docs" / "small-end.json"
TOKEN_CHARS: Final = 5
FIRST_TOKEN_MS: Final = 200
TOKEN_MS: Final = 25
CHAR_MS: Final = 15.0
"""Of sound, for each character."""
CHUNK_MS: Final = 240
FIRST_CHUNK_MS: Final = 100
NEXT_CHUNK_MS: Final = 40
_WRITER: Final = {
    "reply": STORY,
    "delta_chars": TOKEN_CHARS,
    "first_delta_ms": FIRST_TOKEN_MS,
    "per_delta_ms": TOKEN_MS,
}
_VOICE: Final = {
    "ms_per_char": CHAR_MS,
    "chunk_ms": CHUNK_MS,
    "first_chunk_ms": FIRST_CHUNK_MS,
    "per_chunk_ms": NEXT_CHUNK_MS,
}
REAL_TOKENS: Final = 48
THINK_S: Final = 1.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SmallEndRow:
    """Latencies of so many callers: milliseconds, p50 and p95; `others`: cores of other processes."""

    kind: str
    people: int
    answers: int
    ttft: tuple[float, float]
    ttfa: tuple[float, float]
    stalled: float
    own_cores: float
    others: float
    tokens: float
    sound_s: float
    """Of an answer, at the mean."""


def measure(kinds: Sequence[str], sizes: Sequence[int], cache: Path, say: Say) -> Iterator[SmallEndRow]:
    """One after the other, as they are measured."""
    for kind in kinds:
        with tempfile.TemporaryDirectory(prefix="rhapsode-small-") as folder:
            settings = _settings(kind, Path(folder), cache)
            with bare_gateway(settings) as url, SystemMeter(settings.home) as meter:
                say(f"{kind}: warming up")
                asyncio.run(_ask(url, kind, 2, 1))
                for people in sizes:
                    say(f"{kind}: {people} at once")
                    yield _one(url, kind, people, meter)


def _settings(kind: str, folder: Path, cache: Path) -> AppSettings:
    home = folder / "home"
    if kind == "scripted":
        return scripted_settings(home, _WRITER, _VOICE)
    scripted = {name: {"engine": "scripted"} for name in ("speech_to_text", "quality_speech_to_text")}
    return AppSettings.model_validate({"home": home, "cache": cache, **scripted})


async def _ask(url: str, kind: str, people: int, turns: int) -> CallerResults:
    settings = {"max_tokens": 4_096 if kind == "scripted" else REAL_TOKENS, "temperature": 0.0}
    habit = CallerPlan(turns, listen=True, think_s=THINK_S, stagger_s=0.4, settings=settings)
    return await ask_together(url, people, habit, PROMPTS)


def _one(url: str, kind: str, people: int, meter: SystemMeter) -> SmallEndRow:
    before, busy = meter.read(), _busy_s()
    heard = asyncio.run(_ask(url, kind, people, 4 if people < 8 else 3))
    used, seconds = meter.read().since(before), heard.seconds
    own = sum(used.cpu_s.values()) / seconds
    if heard.failures:
        raise RuntimeError(heard.failures[0])
    answers = heard.answers
    return SmallEndRow(
        kind,
        people,
        len(answers),
        _ends([answer.ttft_ms or 0.0 for answer in answers]),
        _ends([answer.ttfa_ms or 0.0 for answer in answers]),
        round(sum(answer.stalled for answer in answers) / len(answers), 3),
        round(own, 3),
        round(max(0.0, (_busy_s() - busy) / seconds - own), 3),
        round(sum(answer.tokens for answer in answers) / len(answers), 1),
        round(heard.sound_s / len(answers), 2),
    )


def _busy_s() -> float:
    """Processor seconds that all processes of this machine have used so far."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.softirq)


def _ends(series: Sequence[float]) -> tuple[float, float]:
    return round(percentile(series, 0.5), 1), round(percentile(series, 0.95), 1)


def keep(rows: Sequence[SmallEndRow], file: Path = KEPT) -> None:
    """Other kinds and sizes that are there stay."""
    before: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    for row in rows:
        kind = before.setdefault(row.kind, {})
        kind[str(row.people)] = asdict(row) | {"machine": machine(), "when": when()}
    file.write_text(json.dumps(before, indent=1) + "\n")


def kept(file: Path = KEPT) -> dict[str, list[SmallEndRow]]:
    """By kind, the smallest first."""
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return {
        kind: sorted((_small(row) for row in rows.values()), key=lambda row: row.people)
        for kind, rows in found.items()
    }


def _small(row: Mapping[str, Any]) -> SmallEndRow:
    known = {name: row[name] for name in SmallEndRow.__dataclass_fields__}
    return SmallEndRow(**known | {"ttft": tuple(row["ttft"]), "ttfa": tuple(row["ttfa"])})


_CORES: Final = 2.0
_LEAST_CORES: Final = 0.5
"""However busy strangers are, the system's share is more than that."""
_SECONDS: Final = 240.0
_FREE: Final = RateCurve.flat(0.0)


@dataclass(frozen=True, slots=True)
class ComparedSize:
    """One size, measured and simulated."""

    measured: SmallEndRow
    simulated: SimulationResult

    @property
    def error(self) -> float:
        """Of the time to first audio at p50: 0.1 is a tenth too long."""
        return self.simulated.ttfa[0] / self.measured.ttfa[0] - 1


def pairs(found: Mapping[str, Any], rows: Sequence[SmallEndRow]) -> list[ComparedSize]:
    return [ComparedSize(row, simulate(_plan(found, row), row.people, _SECONDS)) for row in rows]


def cores_for(row: SmallEndRow) -> float:
    """Cores that other processes left of the machine."""
    return max(_LEAST_CORES, _CORES - row.others)


def _plan(found: Mapping[str, Any], row: SmallEndRow) -> SimulationPlan:
    cores = cores_for(row)
    return scripted(found, cores) if row.kind == "scripted" else real(found, row, cores)


def scripted(found: Mapping[str, Any], cores: float) -> SimulationPlan:
    """Engines that keep everybody to the same timetable, however many there are; only the rest is work."""
    unit_s = NEXT_CHUNK_MS / CHUNK_MS
    tokens = len(STORY) / TOKEN_CHARS
    first = _first_chars() / TOKEN_CHARS
    speech = SpeechModel(
        tokens_per_s=1_000 / (TOKEN_CHARS * CHAR_MS),
        first_tokens=first,
        sentence_tokens=(tokens - first) / 4,
        chunks_s=(CHUNK_MS / 1_000,),
        first_units=(FIRST_CHUNK_MS / NEXT_CHUNK_MS - 1) * CHUNK_MS / 1_000,
    )
    people = CallerModel(tokens=tokens, think_s=THINK_S, vary=False)
    writer = WorkStage("machine", 1, RateCurve.flat(TOKEN_MS / 1_000), _FREE)
    plan = replace(laptop(found, people, cores), prefill_units=FIRST_TOKEN_MS / TOKEN_MS - 1)
    voice = WorkStage("machine", 1, RateCurve.flat(unit_s), _FREE)
    return _in_one_process(plan, speech, llm=writer, tts=voice)


def _first_chars() -> int:
    """After so many characters of the story its first fragment is certain."""
    buffer = SentenceBuffer(SentenceSettings())
    return next(at for at, char in enumerate(STORY, start=1) if buffer.push(char))


def real(found: Mapping[str, Any], row: SmallEndRow, cores: float) -> SimulationPlan:
    """The laptop's engines, with answers as long as they were."""
    people = CallerModel(tokens=row.tokens, think_s=THINK_S, vary=False)
    plan = laptop(found, people, cores)
    speech = replace(plan.speech, tokens_per_s=row.tokens / row.sound_s)
    return _in_one_process(plan, speech)


def _in_one_process(plan: SimulationPlan, speech: SpeechModel, **engines: WorkStage) -> SimulationPlan:
    """One gateway, without Ray, as it was measured: everything of ours is one thread."""
    alone = {"gateway": plan.stages["log"], "stt": WorkStage("machine", 1, _FREE, _FREE)}
    return replace(plan, speech=speech, stages={**plan.stages, **alone, **engines})
