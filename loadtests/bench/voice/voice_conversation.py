"""Conversations under measurement: a clip is said, its answer is listened to, then the next one."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from time import monotonic, monotonic_ns
from typing import Any, Final

import numpy as np

from loadtests.bench.rows.first_audio import DirectEngines
from loadtests.client.api_connection import ApiConnection, TimedFrame
from loadtests.client.recorded_speech import PER_MS, Clip
from loadtests.client.voice_call import VoiceCall, voice_call
from pipeline.audio.opus import RATE, OpusDecoder
from pipeline.engines.ports import SpeechToText, Utterance
from pipeline.engines.registry import build_speech_to_text
from pipeline.stt.evaluation.word_error_rate import WordErrors, word_errors
from pipeline.stt.utterance_transcriber import write_down
from schemas.events import TERMINAL
from schemas.settings import AppSettings

STEPS: Final = (
    *("speech.ended", "transcript.final", "turn.requested", "turn.started"),
    *("text.delta", "sentence.ready", "audio.chunk"),
)
_AUDIBLE: Final = 0.01


@dataclass(frozen=True, slots=True)
class VoiceTrace:
    """Steps of one turn. All in milliseconds."""

    clip: str
    recorded: dict[str, float]
    """When each step was in the log, after the true end of speech."""
    arrived: dict[str, float]
    """When the caller was told."""
    audible: float
    """When the first chunk arrived in which something can be heard."""
    heard: float
    """When that came out of a player that plays from the first byte on."""
    late_vad: float
    """How far after the true end the last voiced frame ends (below 0: before it)."""
    waited: float
    """Silence, after the last voiced frame, until the end was clear."""
    decode: float
    engine_cpu: float
    utterances: int
    """That it was taken for; 1 is right."""
    began_late: float
    """How far after the true onset the utterance begins."""
    text: str
    errors: WordErrors
    answer_ms: int


def traced(
    clip: Clip,
    arrivals: Sequence[TimedFrame],
    bounds_ms: tuple[float, float],
    instant_s: Callable[[float], float],
    epoch_s: float,
) -> VoiceTrace:
    """`arrivals`: from the question's begin on; `bounds_ms`: of its speech, in the input's time."""
    finals = [arrival for arrival in arrivals if arrival.type == "transcript.final"]
    text = " ".join(each.data["text"] for each in finals)
    started_turns = [each.turn for each in arrivals if each.type == "turn.started"]
    if not started_turns:
        raise RuntimeError("nothing was answered")
    turn = started_turns[-1]
    last = _last_of(arrivals, turn)
    end_s = instant_s(bounds_ms[1])
    ended = last["speech.ended"].data
    final = last["transcript.final"].data
    chunks = [each for each in arrivals if each.type == "audio.chunk" and each.turn == turn]
    audible, offset_ms = first_audible(chunks)
    first = chunks[0].at_s
    started = [each for each in arrivals if each.type == "speech.started"]
    return VoiceTrace(
        clip=clip.name,
        errors=word_errors(clip.text, text),
        recorded={step: _ms(last[step].recorded_s(epoch_s) - end_s) for step in STEPS},
        arrived={step: _ms(last[step].at_s - end_s) for step in STEPS},
        audible=_ms(audible.at_s - end_s),
        heard=_ms(max(first + offset_ms / 1_000, audible.at_s) - end_s),
        late_vad=round(ended["end_ms"] - bounds_ms[1], 1),
        waited=ended["at_ms"] - ended["end_ms"],
        decode=final["decode_ms"],
        engine_cpu=final["cpu_ms"],
        utterances=len(finals),
        began_late=round(started[0].data["at_ms"] - bounds_ms[0], 1),
        text=text,
        answer_ms=sum(chunk.data["ms"] for chunk in chunks),
    )


def _last_of(arrivals: Sequence[TimedFrame], turn: int | None) -> dict[str, TimedFrame]:
    """The last of what was heard, and the first of what was answered to it."""
    found: dict[str, TimedFrame] = {}
    for each in arrivals:
        if each.type in ("speech.ended", "transcript.final"):
            found[each.type] = each
        elif each.type in STEPS and (each.turn == turn or each.event.get("seq") == turn):
            found.setdefault(each.type, each)
    if missing := [step for step in STEPS if step not in found]:
        raise RuntimeError(f"the turn had no {missing[0]}")
    return found


def first_audible(chunks: Sequence[TimedFrame]) -> tuple[TimedFrame, float]:
    """The first chunk with something to hear, and how far into the turn's sound that is (ms)."""
    loud = max(np.abs(_decoded(chunks)).max(initial=0), 1)
    have = 0
    for number, chunk in enumerate(chunks):
        # Decoded from the first chunk on, because a codec needs its past.
        sound = np.abs(_decoded(chunks[: number + 1]))[have:]
        found = np.flatnonzero(sound > loud * _AUDIBLE)
        if found.size:
            return chunk, (have + float(found[0])) * 1_000 / RATE
        have += len(sound)
    raise RuntimeError("nothing could be heard of the answer")


def _decoded(chunks: Sequence[TimedFrame]) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """At 24 kHz; of the first sentence only."""
    sentence = chunks[0].data["sentence"]
    packets = b"".join(
        chunk.sound for chunk in takewhile(lambda one: one.data["sentence"] == sentence, chunks)
    )
    return np.frombuffer(OpusDecoder().decode(packets), "<i2").astype(np.float32) / np.float32(32_768)


def _ms(seconds: float) -> float:
    return round(seconds * 1_000, 1)


MAX_TOKENS: Final = 24
"""Of an answer: it is played to its end, so it had better be short."""
_BREATH_S: Final = 0.4
"""Between the end of an answer and the next question."""
_PATIENCE_S: Final = 90.0


@dataclass(frozen=True, slots=True)
class VoiceScenario:
    """How the sessions listen, and how many callers call at once."""

    name: str
    listening: Mapping[str, Any] = field(default_factory=dict)
    callers: int = 1


@dataclass(frozen=True, slots=True)
class VoiceOutcome:
    """Result of a scenario."""

    scenario: VoiceScenario
    traces: Sequence[VoiceTrace]
    failures: Sequence[str]
    late_ms: Sequence[float]
    """By how much the callers' own frames left late: what is measured is no better than this."""


async def talk(url: str, scenario: VoiceScenario, clips: Sequence[Clip]) -> VoiceOutcome:
    """Every caller says every clip once, each beginning with another one."""
    traces: list[VoiceTrace] = []
    failures: list[str] = []
    late: list[float] = []

    async def one(number: int) -> None:
        mine = [*clips[number % len(clips) :], *clips[: number % len(clips)]]
        session = await client.create(
            listening=dict(scenario.listening), temperature=0.0, max_tokens=MAX_TOKENS
        )
        async with voice_call(client, session) as caller:
            await asyncio.sleep(_BREATH_S + 0.7 * number)  # callers do not speak in chorus
            for clip in mine:
                try:
                    traces.append(await ask(caller, clip))
                except (TimeoutError, RuntimeError) as error:
                    failures.append(f"{clip.name}: {error or 'no answer'}")
            late.extend(caller.microphone.late_ms)

    async with ApiConnection(url) as client, asyncio.TaskGroup() as tasks:
        for number in range(scenario.callers):
            tasks.create_task(one(number))
    return VoiceOutcome(scenario, traces, failures, late)


async def ask(caller: VoiceCall, clip: Clip) -> VoiceTrace:
    """Say it, and hear the answer to its end. Raises TimeoutError or RuntimeError where there is none."""
    after = len(caller.arrivals)
    begins = caller.microphone.say(clip.pcm)
    bounds = begins + clip.bounds_ms[0], begins + clip.bounds_ms[1]
    await caller.until_so(lambda: _answered(caller, caller.arrivals[after:]), limit_s=_PATIENCE_S)
    arrivals = caller.arrivals[after:]
    await asyncio.sleep(caller.loudspeaker.remaining_s(monotonic()) + _BREATH_S)
    return traced(clip, arrivals, bounds, caller.microphone.instant_s, caller.epoch_s)


def _answered(caller: VoiceCall, arrivals: Sequence[TimedFrame]) -> bool:
    """All that was said is written down, and the last question has its answer."""
    if caller.microphone.speaking:
        return False
    kinds = [arrival.type for arrival in arrivals]
    written = kinds.count("transcript.final") + kinds.count("transcript.failed")
    if not written or written < kinds.count("speech.started"):
        return False
    asking = sum(arrival.data.get("taken") in ("turn", "joined") for arrival in arrivals)
    asked = [arrival.event["seq"] for arrival in arrivals if arrival.type == "turn.requested"]
    ended = {arrival.turn for arrival in arrivals if arrival.type in TERMINAL}
    return len(asked) >= asking and (not asked or asked[-1] in ended)


_MS = 1e6
_TAIL_MS = 200
"""Of silence after the last word, as the pipeline gives it to the engine."""


@dataclass(frozen=True, slots=True)
class DirectAnswer:
    """One clip, by the engines alone. Milliseconds."""

    clip: str
    decode: float
    answer: float
    """From the text to the first packet of the answer's sound."""
    errors: WordErrors

    def voice_to_voice(self, silence_ms: int) -> float:
        return silence_ms + self.decode + self.answer


async def direct(settings: AppSettings, clips: Sequence[Clip], max_tokens: int) -> list[DirectAnswer]:
    """Each clip once, after one that warms up."""
    wish = settings.session.model_copy(update={"temperature": 0.0, "max_tokens": max_tokens})
    stt = build_speech_to_text(settings.speech_to_text, settings.cache)
    answers = DirectEngines(settings)
    try:
        found: list[DirectAnswer] = []
        for clip in (clips[0], *clips):
            decode, text = await _decode(stt, clip)
            answer = await answers.first_audio_ns(text, wish) / _MS
            found.append(DirectAnswer(clip.name, decode, answer, word_errors(clip.text, text)))
        return found[1:]
    finally:
        await stt.aclose()
        await answers.aclose()


async def _decode(stt: SpeechToText, clip: Clip) -> tuple[float, str]:
    end = round(clip.bounds_ms[1] + _TAIL_MS) * PER_MS
    began = monotonic_ns()
    written = await write_down(stt, Utterance(clip.pcm[:end], "en", words=True))
    return (monotonic_ns() - began) / _MS, written.text
