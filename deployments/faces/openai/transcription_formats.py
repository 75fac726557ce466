"""Transcripts of a recording in the shapes of OpenAI's transcriptions."""

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from deployments.faces.openai.chunk_translator import failure
from pipeline.delivery.captions import Cue, caption_file
from schemas.events.recorded import Recorded
from schemas.languages import LANGUAGE_NAMES

_FRAMES_PER_S: Final = 100
"""Whisper counts `seek` in frames of 10 ms."""


@dataclass(frozen=True, slots=True)
class TranscriptSegment:
    """One utterance, or what one speaker said in it."""

    text: str
    start_ms: int
    end_ms: int
    speaker: str = ""


@dataclass(slots=True)
class Transcribed:
    """Takes the events of one recording in order; `over` once it is closed."""

    segments: list[TranscriptSegment] = field(default_factory=list)
    words: list[TranscriptSegment] = field(default_factory=list)
    language: str = ""
    over: bool = False
    only_by: str | None = None
    """The one way that can do what was asked."""

    def apply(self, recorded: Recorded) -> str:
        """The text that this event adds, if any. Raises EngineError for what could not be written down."""
        data = recorded.data
        if recorded.type == "input.closed":
            self.over = True
        if recorded.type == "transcript.failed":
            raise failure(data["code"], data["message"])
        if recorded.type != "transcript.final" or not data["text"].strip():
            return ""
        if self.only_by not in (None, data["mode"]):
            raise failure("engine.failed", "the engine that can do this is away")
        text: str = data["text"].strip()
        before = " " if self.segments else ""
        self.segments.append(TranscriptSegment(text, data["start_ms"], data["end_ms"]))
        self.words += [
            TranscriptSegment(
                data["text"][one["start"] : one["end"]], one["start_ms"], one["end_ms"], one["speaker"]
            )
            for one in data["words"]
        ]
        self.language = self.language or data["language"]
        return before + text

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments)

    def spoken_by(self) -> Iterator[TranscriptSegment]:
        """A segment for each turn of a speaker."""
        current: list[TranscriptSegment] = []
        for word in self.words:
            if current and current[-1].speaker != word.speaker:
                yield _joined(current)
                current = []
            current.append(word)
        if current:
            yield _joined(current)


def _joined(words: Sequence[TranscriptSegment]) -> TranscriptSegment:
    text = " ".join(word.text for word in words)
    return TranscriptSegment(text, words[0].start_ms, words[-1].end_ms, words[0].speaker)


def plain(made: Transcribed, ms: int) -> dict[str, Any]:
    return {"text": made.text, "usage": usage_of(ms)}


def usage_of(ms: int) -> dict[str, Any]:
    return {"type": "duration", "seconds": math.ceil(ms / 1_000)}


def verbose(made: Transcribed, ms: int, granularities: Sequence[str], task: str) -> dict[str, Any]:
    """Likelihoods are not known here: they are zero."""
    body: dict[str, Any] = {
        "task": task,
        "language": LANGUAGE_NAMES.get(made.language, made.language),
        "duration": ms / 1_000,
        "text": made.text,
        "usage": usage_of(ms),
    }
    if not granularities or "segment" in granularities:
        body["segments"] = [_segment(number, one) for number, one in enumerate(made.segments)]
    if "word" in granularities:
        body["words"] = [
            {"word": one.text, "start": one.start_ms / 1_000, "end": one.end_ms / 1_000} for one in made.words
        ]
    return body


def _segment(number: int, one: TranscriptSegment) -> dict[str, Any]:
    written = one.text.encode()
    return {
        "id": number,
        "seek": one.start_ms * _FRAMES_PER_S // 1_000,
        "start": one.start_ms / 1_000,
        "end": one.end_ms / 1_000,
        "text": one.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": round(len(written) / len(zlib.compress(written)), 3),
        "no_speech_prob": 0.0,
    }


def diarized(made: Transcribed, ms: int) -> dict[str, Any]:
    segments = [
        {
            "type": "transcript.text.segment",
            "id": f"seg_{number}",
            "start": one.start_ms / 1_000,
            "end": one.end_ms / 1_000,
            "text": one.text,
            "speaker": one.speaker,
        }
        for number, one in enumerate(made.spoken_by())
    ]
    body = {"task": "transcribe", "duration": ms / 1_000, "text": made.text}
    return {**body, "segments": segments, "usage": usage_of(ms)}


def captions(made: Transcribed, fmt: str) -> str:
    """SubRip or WebVTT; a cue for each segment."""
    cues = (Cue(one.start_ms, one.end_ms, one.text) for one in made.segments)
    return "".join(caption_file(cues, "vtt" if fmt == "vtt" else "srt"))
