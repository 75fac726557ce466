"""The simulation beside what was measured at the small end, with the error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from loadtests.simulator import small
from loadtests.simulator.plan import Curve, Machines, People, Plan, Speech, Stage
from loadtests.simulator.profiles import laptop, overheads
from loadtests.simulator.run import Result, simulate
from loadtests.simulator.small import Small
from pipeline.tts.sentence_buffer import SentenceBuffer
from schemas.settings import SentenceSettings

_CORES: Final = 2.0
_LEAST_CORES: Final = 0.5
"""However busy strangers are, the system's share is more than that."""
_SECONDS: Final = 240.0
_FREE: Final = Curve.flat(0.0)
_OWN: Final = Curve.flat(1.0)
_THREAD: Final = Curve(((1.0, 1.0), (2.0, 2.0)))


@dataclass(frozen=True, slots=True)
class Pair:
    """One size, measured and simulated."""

    measured: Small
    simulated: Result

    @property
    def error(self) -> float:
        """Of the time to first audio at p50: 0.1 is a tenth too long."""
        return self.simulated.ttfa[0] / self.measured.ttfa[0] - 1


def pairs(found: Mapping[str, Any], rows: Sequence[Small]) -> list[Pair]:
    return [Pair(row, simulate(_plan(found, row), row.people, _SECONDS)) for row in rows]


def cores_for(row: Small) -> float:
    """What strangers left of the machine."""
    return max(_LEAST_CORES, _CORES - row.others)


def _plan(found: Mapping[str, Any], row: Small) -> Plan:
    cores = cores_for(row)
    return scripted(found, cores) if row.kind == "scripted" else real(found, row, cores)


def scripted(found: Mapping[str, Any], cores: float) -> Plan:
    """Engines that keep everybody to the same timetable, however many there are; only the rest is work."""
    unit_s = small.NEXT_CHUNK_MS / small.CHUNK_MS
    tokens = len(small.STORY) / small.TOKEN_CHARS
    first = _first_chars() / small.TOKEN_CHARS
    speech = Speech(
        tokens_per_s=1_000 / (small.TOKEN_CHARS * small.CHAR_MS),
        first_tokens=first,
        sentence_tokens=(tokens - first) / 4,
        chunks_s=(small.CHUNK_MS / 1_000,),
        first_units=(small.FIRST_CHUNK_MS - small.NEXT_CHUNK_MS)
        / small.NEXT_CHUNK_MS
        * small.CHUNK_MS
        / 1_000,
    )
    return _in_one_process(
        "scripted",
        found,
        People(tokens=tokens, think_s=small.THINK_S, vary=False),
        speech,
        cores,
        (
            Stage("machine", 1, Curve.flat(small.TOKEN_MS / 1_000), _FREE),
            Stage("machine", 1, Curve.flat(unit_s), _FREE),
            small.FIRST_TOKEN_MS / small.TOKEN_MS - 1,
        ),
    )


def _first_chars() -> int:
    """After so many characters of the story its first fragment is certain."""
    buffer = SentenceBuffer(SentenceSettings())
    return next(at for at, char in enumerate(small.STORY, start=1) if buffer.push(char))


def real(found: Mapping[str, Any], row: Small, cores: float) -> Plan:
    """The laptop's engines, with answers as long as they were."""
    people = People(tokens=row.tokens, think_s=small.THINK_S, vary=False)
    plan = laptop(found, people, cores)
    speech = replace(plan.speech, tokens_per_s=row.tokens / row.sound_s)
    return _in_one_process(
        "real",
        found,
        people,
        speech,
        cores,
        (plan.stages["llm"], plan.stages["tts"], plan.prefill_units),
    )


def _in_one_process(
    name: str,
    found: Mapping[str, Any],
    people: People,
    speech: Speech,
    cores: float,
    models: tuple[Stage, Stage, float],
) -> Plan:
    """One gateway, without Ray, as it was measured: everything of ours is one thread.

    `models`: who writes, who speaks, and the work before an answer's first token.
    What scripted engines take is work of that thread as well.
    """
    around = overheads(found)
    if name == "scripted":
        delta, sound_s = found["around"]["scripted"]
        around = replace(
            around,
            gateway_delta=around.gateway_delta + delta,
            gateway_chunk=around.gateway_chunk + sound_s * speech.chunks_s[-1],
        )
    return Plan(
        name,
        people,
        speech,
        around,
        {"machine": Machines(1, cores)},
        {
            "gateway": Stage("machine", 1, _THREAD, _OWN),
            "log": Stage("machine", 1, _THREAD, _OWN),
            "replicas": Stage("machine", 1, _THREAD, _OWN),
            "stt": Stage("machine", 1, _FREE, _FREE),
            "llm": models[0],
            "tts": models[1],
        },
        prefill_units=models[2],
    )
