"""What the span of a sentence says: how soon it sounded, for how long, and how often it was tried."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry.trace import Span, SpanKind
from opentelemetry.util.types import AttributeValue

from pipeline.engines.ports import OpusChunk, WordTimes
from pipeline.observability import span_names
from pipeline.observability.trace_context import HERE, fail, shows_content, span
from schemas.errors import RhapsodeError
from schemas.settings import SessionSettings
from schemas.settings.provider_settings import LOCAL


class SentenceSpan:
    """The span of a sentence's synthesis, or nothing."""

    def __init__(self, made: Span | None) -> None:
        self._span = made
        self._audio_ms = 0

    def made(self, item: WordTimes | OpusChunk) -> None:
        if self._span is None or isinstance(item, WordTimes):
            return
        if not self._audio_ms:
            self._span.add_event(span_names.FIRST_CHUNK)
        self._audio_ms += item.ms

    def retried(self, error: RhapsodeError, attempt: int) -> None:
        if self._span is not None:
            self._span.add_event(
                span_names.RETRIED, {span_names.ERROR_TYPE: error.code, span_names.ATTEMPT: attempt}
            )

    def ended(self, error: RhapsodeError | None, *, skipped: bool) -> None:
        if self._span is None:
            return
        self._span.set_attributes({span_names.AUDIO_MS: self._audio_ms, span_names.SKIPPED: skipped})
        if error is not None:
            fail(self._span, error.code)


_UNTOLD: Final = SentenceSpan(None)


@contextmanager
def synthesizing(number: int, text: str, settings: SessionSettings) -> Iterator[SentenceSpan]:
    """The synthesis of one sentence."""
    if HERE.get().tracing is None:
        yield _UNTOLD
        return
    attributes: dict[str, AttributeValue] = {
        span_names.OPERATION: span_names.OP_SYNTHESIZE,
        span_names.PROVIDER: settings.tts_provider or LOCAL,
        span_names.OUTPUT_TYPE: span_names.SPEECH,
        span_names.VOICE: settings.voice,
        span_names.SENTENCE: number,
        span_names.SENTENCE_CHARS: len(text),
    }
    if shows_content():
        attributes[span_names.SENTENCE_TEXT] = text
    with span(span_names.SYNTHESIZE, attributes, kind=SpanKind.CLIENT) as made:
        yield SentenceSpan(made)
