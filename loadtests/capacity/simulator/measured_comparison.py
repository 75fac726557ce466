"""The simulation beside what was measured at the small end, with the error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from loadtests.capacity.simulator import small_end
from loadtests.capacity.simulator.machine_profiles import laptop
from loadtests.capacity.simulator.simulation import SimulationResult, simulate
from loadtests.capacity.simulator.simulation_plan import (
    CallerModel,
    RateCurve,
    SimulationPlan,
    SpeechModel,
    WorkStage,
)
from loadtests.capacity.simulator.small_end import SmallEndRow
from pipeline.tts.sentence_buffer import SentenceBuffer
from schemas.settings import SentenceSettings

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
    unit_s = small_end.NEXT_CHUNK_MS / small_end.CHUNK_MS
    tokens = len(small_end.STORY) / small_end.TOKEN_CHARS
    first = _first_chars() / small_end.TOKEN_CHARS
    speech = SpeechModel(
        tokens_per_s=1_000 / (small_end.TOKEN_CHARS * small_end.CHAR_MS),
        first_tokens=first,
        sentence_tokens=(tokens - first) / 4,
        chunks_s=(small_end.CHUNK_MS / 1_000,),
        first_units=(small_end.FIRST_CHUNK_MS / small_end.NEXT_CHUNK_MS - 1) * small_end.CHUNK_MS / 1_000,
    )
    people = CallerModel(tokens=tokens, think_s=small_end.THINK_S, vary=False)
    writer = WorkStage("machine", 1, RateCurve.flat(small_end.TOKEN_MS / 1_000), _FREE)
    plan = replace(
        laptop(found, people, cores), prefill_units=small_end.FIRST_TOKEN_MS / small_end.TOKEN_MS - 1
    )
    voice = WorkStage("machine", 1, RateCurve.flat(unit_s), _FREE)
    return _in_one_process(plan, speech, llm=writer, tts=voice)


def _first_chars() -> int:
    """After so many characters of the story its first fragment is certain."""
    buffer = SentenceBuffer(SentenceSettings())
    return next(at for at, char in enumerate(small_end.STORY, start=1) if buffer.push(char))


def real(found: Mapping[str, Any], row: SmallEndRow, cores: float) -> SimulationPlan:
    """The laptop's engines, with answers as long as they were."""
    people = CallerModel(tokens=row.tokens, think_s=small_end.THINK_S, vary=False)
    plan = laptop(found, people, cores)
    speech = replace(plan.speech, tokens_per_s=row.tokens / row.sound_s)
    return _in_one_process(plan, speech)


def _in_one_process(plan: SimulationPlan, speech: SpeechModel, **engines: WorkStage) -> SimulationPlan:
    """One gateway, without Ray, as it was measured: everything of ours is one thread."""
    alone = {"gateway": plan.stages["log"], "stt": WorkStage("machine", 1, _FREE, _FREE)}
    return replace(plan, speech=speech, stages={**plan.stages, **alone, **engines})
