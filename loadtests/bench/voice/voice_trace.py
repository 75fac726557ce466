"""One spoken question and its answer, step by step, in milliseconds after the last sound of the question."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import av
import numpy as np

from loadtests.client.event_socket import TimedFrame
from loadtests.client.recorded_speech import Clip
from pipeline.stt.evaluation.word_error_rate import WordErrors, word_errors

STEPS: Final = (
    "speech.ended",
    "transcript.final",
    "turn.requested",
    "turn.started",
    "text.delta",
    "sentence.ready",
    "audio.chunk",
)
_AUDIBLE: Final = 0.01
_OPUS_HEAD: Final = b"OpusHead\x01\x01" + bytes(2) + (24_000).to_bytes(4, "little") + bytes(3)


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
            return chunk, (have + float(found[0])) / 48
        have += len(sound)
    raise RuntimeError("nothing could be heard of the answer")


def _decoded(chunks: Sequence[TimedFrame]) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """At 48 kHz; of the first sentence only."""
    decoder: Any = av.CodecContext.create("opus", "r")
    decoder.extradata = _OPUS_HEAD
    decoder.sample_rate = 48_000
    decoder.layout = "mono"
    sound = [np.zeros(0, np.float32)]
    for chunk in chunks:
        if chunk.data["sentence"] != chunks[0].data["sentence"]:
            break
        rest = chunk.sound
        while rest:
            size = int.from_bytes(rest[:2], "big")
            sound += [frame.to_ndarray()[0] for frame in decoder.decode(av.Packet(rest[2 : 2 + size]))]
            rest = rest[2 + size :]
    return np.concatenate(sound)


def _ms(seconds: float) -> float:
    return round(seconds * 1_000, 1)
