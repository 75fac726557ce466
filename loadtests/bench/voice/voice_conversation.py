"""Conversations under measurement: a clip is said, its answer is listened to, then the next one."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic, monotonic_ns
from typing import Any, Final

from loadtests.bench.rows.first_audio import DirectEngines
from loadtests.bench.voice.voice_trace import VoiceTrace, traced
from loadtests.client.api_connection import ApiConnection
from loadtests.client.event_socket import TimedFrame
from loadtests.client.recorded_speech import PER_MS, Clip
from loadtests.client.voice_call import VoiceCall, voice_call
from pipeline.engines.ports import SpeechToText, Utterance
from pipeline.engines.registry import build_speech_to_text
from pipeline.stt.evaluation.word_error_rate import WordErrors, word_errors
from pipeline.stt.utterance_transcriber import write_down
from schemas.events import TERMINAL
from schemas.settings import AppSettings

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
