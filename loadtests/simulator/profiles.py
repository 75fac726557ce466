"""Plans: the laptop as it was measured, a box with one card, and a cluster that is as large as it must be."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any, Final

from loadtests.simulator import cards
from loadtests.simulator.cards import Card, Shape
from loadtests.simulator.plan import Curve, Machines, Overheads, People, Plan, Speech, Stage

COSTS: Final = Path(__file__).resolve().parents[2] / "docs" / "costs.json"
CHARS_PER_TOKEN: Final = 4.3
_ONE_THREAD: Final = Curve(((1.0, 1.0), (2.0, 2.0)))
"""A unit takes n times as long when n share one thread; n jobs use n cores where each has its own."""
_ONE_CORE: Final = Curve.flat(1.0)
ASSISTANT: Final = People(tokens=45, question_s=4.0, silence_s=0.5, think_s=3.0)
"""Somebody who talks with it: short questions, short answers."""
NARRATION: Final = People(tokens=320, think_s=2.0)
"""Somebody who listens to a story, chapter after chapter."""


def costs(path: Path = COSTS) -> dict[str, Any]:
    """What was measured, as `python -m loadtests.costs --keep` wrote it."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def overheads(found: Mapping[str, Any], hops_s: float | None = None) -> Overheads:
    around = found["around"]
    gateway, log = around["gateway"], around["log"]
    worked = gateway["turn"] + gateway["delta"] + log["turn"]
    return Overheads(
        gateway_turn=gateway["turn"],
        gateway_delta=gateway["delta"],
        gateway_chunk=gateway["chunk"],
        gateway_microphone=gateway["microphone_s"],
        gateway_quiet=gateway["quiet_s"],
        replica_delta=around["language_model"]["delta"],
        log_turn=log["turn"],
        log_delta=log["delta"],
        log_chunk=log["chunk"],
        log_microphone=log["microphone_s"],
        log_quiet=log["quiet_s"],
        hops_s=max(0.0, around["first_words_s"] - worked) if hops_s is None else hops_s,
    )


def spoken(found: Mapping[str, Any], **changes: Any) -> Speech:
    """How the default voice speaks what the default model writes."""
    rate = found["engines"]["tts_chars_per_s"] / CHARS_PER_TOKEN
    return replace(Speech(tokens_per_s=rate, first_tokens=8, sentence_tokens=18), **changes)


def laptop(found: Mapping[str, Any], people: People, cores: float = 2.0) -> Plan:
    """Everything on the cores of one machine, with the engines that were measured on it."""
    engines = found["engines"]
    token = Curve.of(engines["llm_cpu_s_per_token"])
    threads = 2
    together = tuple(float(number) for number in engines["llm_cpu_s_per_token"])
    first_units = engines["tts_first_cpu_s"] / engines["tts_cpu_s_per_s"]
    speech = spoken(found)
    first_units = max(0.0, first_units - speech.chunks_s[0])
    return Plan(
        "laptop",
        people,
        replace(speech, first_units=first_units),
        overheads(found),
        {"machine": Machines(1, cores)},
        {
            "gateway": Stage("machine", 2, _ONE_THREAD, _ONE_CORE),
            "log": Stage("machine", 1, _ONE_THREAD, _ONE_CORE),
            "replicas": Stage("machine", 1, _ONE_THREAD, _ONE_CORE),
            "stt": Stage("machine", 1, Curve.flat(engines["stt_cpu_s_per_s"]), _ONE_THREAD, 2),
            "llm": Stage(
                "machine",
                1,
                Curve(tuple((number, number * token(number) / threads) for number in together)),
                Curve.flat(threads),
                8,
            ),
            "tts": Stage("machine", 1, Curve.flat(engines["tts_cpu_s_per_s"]), _ONE_THREAD, 8),
        },
        prefill_units=engines["llm_prefill_cpu_s"] / token(1),
    )


@dataclass(frozen=True, slots=True)
class Cluster:
    """How many of each, and of what kind."""

    gateways: int
    shards: int
    ears: int
    models: int
    voices: int
    card: Card = cards.L40S
    shape: Shape = cards.EIGHT_BILLION
    speech_card: Card = cards.L4

    @property
    def cards(self) -> int:
        return self.ears + self.models + self.voices


PROMPT_TOKENS: Final = 300.0
"""Of a question with what went before, that the prefix cache does not have."""
_SEQUENCES: Final = 256


def cluster(found: Mapping[str, Any], people: People, size: Cluster) -> Plan:
    """A card for each replica of an engine, a core for each gateway and each shard of the log."""
    step = cards.steps(size.card, size.shape)
    prefill = cards.prefill_s(size.card, size.shape, PROMPT_TOKENS) / step(1)
    question = max(people.question_s, 1.0)
    heard = cards.utterance_s(size.speech_card, question) / question
    shared = Curve(((1.0, cards.VOICE_REAL_TIME), (2.0, 2 * cards.VOICE_REAL_TIME)))
    places = min(_SEQUENCES, cards.sequences(size.card, size.shape))
    return Plan(
        "cluster",
        people,
        spoken(found),
        overheads(found),
        {
            "gateways": Machines(size.gateways, 1.0),
            "log shards": Machines(size.shards, 1.0),
            "replicas' cores": Machines(size.models, 1.0),
            "cards that listen": Machines(max(1, size.ears), 1.0),
            "cards that write": Machines(size.models, 1.0),
            "cards that speak": Machines(size.voices, 1.0),
        },
        {
            "gateway": Stage("gateways", size.gateways, _ONE_THREAD, _ONE_CORE),
            "log": Stage("log shards", size.shards, _ONE_THREAD, _ONE_CORE),
            "replicas": Stage("replicas' cores", size.models, _ONE_THREAD, _ONE_CORE),
            "stt": Stage(
                "cards that listen", max(1, size.ears), Curve(((1.0, heard), (2.0, 2 * heard))), _ONE_CORE
            ),
            "llm": Stage("cards that write", size.models, step, Curve(((0.0, 0.0), (places, 1.0))), places),
            "tts": Stage("cards that speak", size.voices, shared, _ONE_CORE),
        },
        prefill_units=prefill,
        deltas_per_token=0.6,
        note="cards on paper",
    )


def gpu(found: Mapping[str, Any], people: People, card: Card, gateways: int = 8, cores: int = 16) -> Plan:
    """One box with one card, on which three engines take turns: nothing is gained by overlapping."""
    plan = cluster(found, people, Cluster(1, 1, 1, 1, 1, card=card, speech_card=card))
    room = cards.sequences(card, cards.EIGHT_BILLION, reserved_gb=cards.WHISPER_GB + cards.VOICE_GB)
    stages = dict(plan.stages)
    for name in ("stt", "llm", "tts"):
        stages[name] = replace(stages[name], host="card", claim=_ONE_CORE)
    stages["llm"] = replace(stages["llm"], places=max(1, min(_SEQUENCES, room)))
    for name, replicas in (("gateway", gateways), ("log", 1), ("replicas", 1)):
        stages[name] = replace(stages[name], host="cores", replicas=replicas)
    hosts = {"card": Machines(1, 1.0), "cores": Machines(1, float(cores))}
    return replace(plan, name="gpu", hosts=hosts, stages=stages)


def at_least(amount: float) -> int:
    return max(1, ceil(amount - 1e-9))
