"""From costs to how many of everything: what one session asks of each part, and what the parts can give."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from loadtests.capacity.simulator import graphics_cards
from loadtests.capacity.simulator.graphics_cards import GraphicsCard, ModelShape
from loadtests.capacity.simulator.machine_profiles import (
    PROMPT_TOKENS,
    ClusterSize,
    at_least,
    spoken,
)
from loadtests.capacity.simulator.simulation import CallerModel, chunks, fragments

FULL: Final = 0.6
"""Of a core or a card that is planned with: the rest is for gusts, a lost machine, a rolling update."""
GATEWAY_LISTENERS: Final = 4_000
"""`limits.listeners`: sockets that one gateway takes."""
GATEWAY_TURNS: Final = 400
"""`limits.live_sessions`: sessions with a turn running in one gateway."""
SHARD_GB: Final = 16.0
"""Of memory for one shard, half of it for copying on write when the file is written anew."""
HOT_S: Final = 3_600.0
"""`archive.hot_s`: how long a closed session stays in the log."""
SESSION_TURNS: Final = 20
"""Of a conversation, before it is closed."""
TEXT_ARCHIVED: Final = 18.0
"""Bytes that an event takes in the archive, compressed (measured while it was designed)."""
FIRST_SOUND_S: Final = 1.0
"""From the question to the first sound, in a system that keeps its promises."""
TOKENS_PER_S: Final = 50.0
"""That one answer is written with: it is in the making for so long."""
KEPT_SOUND: Final = 1.26
"""Memory for each byte of sound in the log (measured while it was designed)."""


@dataclass(frozen=True, slots=True)
class SessionDemand:
    """Of one session, at the mean, each second of it; sessions are in the middle of a turn or in between."""

    turns: float
    tokens: float
    deltas: float
    chunks: float
    sentences: float
    speech_s: float
    """Of sound made, which is also how long is listened to."""
    heard_s: float
    """Of sound understood."""
    gateway_cores: float
    log_cores: float
    log_bytes: float
    """That come to the log."""
    archive_bytes: float
    running: float
    """The part of the time in which an answer is being made."""

    @property
    def events(self) -> float:
        """Words and sound, three for each sentence, and six that frame a turn."""
        return self.deltas + self.chunks + 3 * self.sentences + 6 * self.turns


def demand(found: Mapping[str, Any], people: CallerModel, deltas_per_token: float = 0.6) -> SessionDemand:
    """Of somebody who never waits for the machine."""
    speech, around = spoken(found), found["around"]
    cut = fragments(people.tokens, speech) if people.speak else []
    many = sum(len(chunks(size / speech.tokens_per_s, speech)) for size in cut)
    sound_s = sum(cut) / speech.tokens_per_s
    cycle_s = people.question_s + people.silence_s + FIRST_SOUND_S + sound_s + people.think_s
    deltas = people.tokens * deltas_per_token
    open_s = cycle_s - people.question_s if people.question_s else 0.0  # the microphone stays open
    counts = {
        **{"session": 1 / SESSION_TURNS, "turn": 1.0, "delta": deltas, "chunk": many},
        **{"microphone_s": people.question_s, "quiet_s": open_s, "socket_s": cycle_s},
    }
    gateway, log = (
        sum(around[role].get(part, 0.0) * count for part, count in counts.items())
        for role in ("gateway", "log")
    )
    sizes, sound_bytes = (
        around["log_bytes"],
        (sound_s + people.question_s) * found["engines"]["tts_bytes_per_s"],
    )
    written = deltas * sizes["delta"] + many * sizes["chunk_beside_sound"] + sound_bytes * KEPT_SOUND
    return SessionDemand(
        turns=1 / cycle_s,
        tokens=people.tokens / cycle_s,
        deltas=deltas / cycle_s,
        chunks=many / cycle_s,
        sentences=len(cut) / cycle_s,
        speech_s=sound_s / cycle_s,
        heard_s=people.question_s / cycle_s,
        gateway_cores=gateway / cycle_s,
        log_cores=log / cycle_s,
        log_bytes=written / cycle_s,
        archive_bytes=(TEXT_ARCHIVED * (deltas + many + 3 * len(cut) + 6) + sound_bytes) / cycle_s,
        running=min(1.0, (FIRST_SOUND_S + people.tokens / TOKENS_PER_S) / cycle_s),
    )


@dataclass(frozen=True, slots=True)
class SessionCapacity:
    """Sessions that one of each can carry, at the planned part of its capacity."""

    gateway: float
    shard_by_work: float
    shard_by_memory: float
    model: float
    transcription: float
    voice: float

    @property
    def shard(self) -> float:
        return min(self.shard_by_work, self.shard_by_memory)


def holds(
    found: Mapping[str, Any],
    people: CallerModel,
    card: GraphicsCard,
    shape: ModelShape,
    speech_card: GraphicsCard,
) -> SessionCapacity:
    """Sessions that one core, one shard and one card carry."""
    of = demand(found, people)
    sizes = found["around"]["log_bytes"]
    session_s = SESSION_TURNS / of.turns
    hot_bytes = (session_s / 2 + HOT_S) * of.log_bytes + sizes["session"]
    question = max(people.question_s, 1e-9)
    transcription = (
        people.question_s
        and graphics_cards.utterance_s(speech_card, people.question_s) * of.heard_s / question
    )
    return SessionCapacity(
        gateway=min(
            FULL / of.gateway_cores, FULL * GATEWAY_LISTENERS, FULL * GATEWAY_TURNS / max(of.running, 1e-9)
        ),
        shard_by_work=FULL / of.log_cores,
        shard_by_memory=SHARD_GB / 2 * 1e9 / hot_bytes,
        model=model_sessions(card, shape, of),
        transcription=FULL / transcription if transcription else float("inf"),
        voice=FULL / (of.speech_s * graphics_cards.VOICE_REAL_TIME),
    )


def model_sessions(card: GraphicsCard, shape: ModelShape, of: SessionDemand) -> float:
    """The most whose tokens a card can write in the batch that has room beside the weights."""
    places = min(256, graphics_cards.sequences(card, shape))
    if places < 1:
        return 0.0
    step = graphics_cards.step_s(card, shape, places)
    answer = of.tokens / of.turns
    for_answer = answer * step / places + graphics_cards.prefill_s(card, shape, PROMPT_TOKENS)
    return FULL / (of.turns * for_answer)


def size_for(found: Mapping[str, Any], people: CallerModel, sessions: int, **kinds: Any) -> ClusterSize:
    """The cluster that carries so many sessions."""
    blank = ClusterSize(1, 1, 0, 1, 1, **kinds)
    one = holds(found, people, blank.card, blank.shape, blank.speech_card)
    return ClusterSize(
        gateways=max(2, at_least(sessions / one.gateway)),
        shards=at_least(sessions / one.shard),
        transcribers=at_least(sessions / one.transcription) if people.question_s else 0,
        models=at_least(sessions / one.model),
        voices=at_least(sessions / one.voice),
        **kinds,
    )
