"""Plans: the laptop as it was measured, a box with one card, and a cluster that is as large as it must be."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any, Final

from loadtests.capacity.simulator import graphics_cards as cards
from loadtests.capacity.simulator.graphics_cards import GraphicsCard, ModelShape
from loadtests.capacity.simulator.simulation import (
    CallerModel,
    MachineKind,
    RateCurve,
    SimulationPlan,
    SpeechModel,
    WorkStage,
)
from loadtests.report.tables import ROOT

COSTS: Final = ROOT / "docs" / "costs.json"
CHARS_PER_TOKEN: Final = 4.3
ONE_THREAD: Final = RateCurve(((1.0, 1.0), (2.0, 2.0)))
"""A unit takes n times as long when n share one thread; n jobs use n cores where each has its own."""
ONE_CORE: Final = RateCurve.flat(1.0)
ASSISTANT: Final = CallerModel(tokens=45, question_s=4.0, silence_s=0.5, think_s=3.0)
"""A caller who talks with it: short questions, short answers."""
NARRATION: Final = CallerModel(tokens=320, think_s=2.0)
"""A caller who listens to a story, chapter after chapter."""


def costs(path: Path = COSTS) -> dict[str, Any]:
    """Read the measured costs, as `python -m loadtests costs --keep` wrote them."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def spoken(found: Mapping[str, Any], **changes: Any) -> SpeechModel:
    """How the default voice speaks what the default model writes."""
    rate = found["engines"]["tts_chars_per_s"] / CHARS_PER_TOKEN
    return replace(SpeechModel(tokens_per_s=rate, first_tokens=8, sentence_tokens=18), **changes)


def laptop(found: Mapping[str, Any], people: CallerModel, cores: float = 2.0) -> SimulationPlan:
    """Everything on the cores of one machine, with the engines that were measured on it."""
    engines, threads = found["engines"], 2
    token = RateCurve.of(engines["llm_cpu_s_per_token"])
    together = tuple(float(number) for number in engines["llm_cpu_s_per_token"])
    writing = RateCurve(tuple((number, number * token(number) / threads) for number in together))
    speech = spoken(found)
    first_units = max(0.0, engines["tts_first_cpu_s"] / engines["tts_cpu_s_per_s"] - speech.chunks_s[0])
    return SimulationPlan(
        people,
        replace(speech, first_units=first_units),
        found["around"],
        {"machine": MachineKind(1, cores)},
        {
            "gateway": own_core("machine", 2),
            "log": own_core("machine", 1),
            "replicas": own_core("machine", 1),
            "stt": WorkStage("machine", 1, RateCurve.flat(engines["stt_cpu_s_per_s"]), ONE_THREAD, 2),
            "llm": WorkStage("machine", 1, writing, RateCurve.flat(threads), 8),
            "tts": WorkStage("machine", 1, RateCurve.flat(engines["tts_cpu_s_per_s"]), ONE_THREAD, 8),
        },
        prefill_units=engines["llm_prefill_cpu_s"] / token(1),
    )


def own_core(host: str, replicas: int) -> WorkStage:
    """Replicas of one thread each."""
    return WorkStage(host, replicas, ONE_THREAD, ONE_CORE)


@dataclass(frozen=True, slots=True)
class ClusterSize:
    """How many of each, and of what kind."""

    gateways: int
    shards: int
    transcribers: int
    models: int
    voices: int
    card: GraphicsCard = cards.L40S
    shape: ModelShape = cards.EIGHT_BILLION
    speech_card: GraphicsCard = cards.L4


PROMPT_TOKENS: Final = 300.0
"""Of a question with what went before, that the prefix cache does not have."""
_SEQUENCES: Final = 256


def cluster(found: Mapping[str, Any], people: CallerModel, size: ClusterSize) -> SimulationPlan:
    """A card for each replica of an engine, a core for each gateway and each shard of the log."""
    step = cards.steps(size.card, size.shape)
    prefill = cards.prefill_s(size.card, size.shape, PROMPT_TOKENS) / step(1)
    question = max(people.question_s, 1.0)
    heard = cards.utterance_s(size.speech_card, question) / question
    shared = RateCurve(((1.0, cards.VOICE_REAL_TIME), (2.0, 2 * cards.VOICE_REAL_TIME)))
    places = min(_SEQUENCES, cards.sequences(size.card, size.shape))
    listening, writing = RateCurve(((1.0, heard), (2.0, 2 * heard))), RateCurve(((0.0, 0.0), (places, 1.0)))
    stages = {
        "gateway": own_core("gateways", size.gateways),
        "log": own_core("log shards", size.shards),
        "replicas": own_core("replicas' cores", size.models),
        "stt": WorkStage("cards that listen", max(1, size.transcribers), listening, ONE_CORE),
        "llm": WorkStage("cards that write", size.models, step, writing, places),
        "tts": WorkStage("cards that speak", size.voices, shared, ONE_CORE),
    }
    hosts = {stage.host: MachineKind(stage.replicas, 1.0) for stage in stages.values()}
    more = {"prefill_units": prefill, "deltas_per_token": 0.6}
    return SimulationPlan(people, spoken(found), found["around"], hosts, stages, **more)


def at_least(amount: float) -> int:
    return max(1, ceil(amount - 1e-9))
