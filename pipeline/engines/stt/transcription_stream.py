"""What transcription servers send: one JSON document, or server-sent events of several dialects."""

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from pipeline.engines.http.http_provider import words_of
from pipeline.engines.http.server_events import DONE, BadAnswer, documents, parsed
from pipeline.engines.ports import WrittenWord
from pipeline.engines.stt.whisper_words import word_times

_CODE: Final = re.compile(r"[a-z]{2,3}")


@dataclass(frozen=True, slots=True)
class TranscriptionAnswer:
    """The end: all the text, if it is said again, and what else the server tells."""

    text: str | None = None
    language: str = ""
    words: tuple[WrittenWord, ...] = ()


async def events(parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[str | TranscriptionAnswer, None]:
    """Deltas of an event stream, then its end: OpenAI's events, or vLLM's chunks.

    A stream that does not say that it is over is not all of the text.
    """
    finished = False
    async with aclosing(documents(parts)) as told:
        async for document in told:
            kind = document.get("type", "")
            if kind == "error" or document.get("error"):
                raise BadAnswer(f"failed: {words_of(document)}")
            if kind == "transcript.text.done":
                yield TranscriptionAnswer(_text(document, "text"))
                return
            if kind == "transcript.text.delta":
                yield _text(document, "delta")
            for choice in _choices(document):
                yield _content(choice)
                finished = finished or bool(choice.get("finish_reason"))
            finished = finished or document is DONE
    if not finished:
        raise BadAnswer("broke off in the middle of an utterance")
    yield TranscriptionAnswer()


def document_of(data: bytes, sound_ms: int) -> TranscriptionAnswer:
    """The answer as "json" or "verbose_json"."""
    document = parsed(data)
    text = _text(document, "text").strip()
    aligned = document.get("words")
    language = document.get("language")
    return TranscriptionAnswer(
        text,
        # Whisper's own server says "english": only codes are of use to us.
        language if isinstance(language, str) and _CODE.fullmatch(language) else "",
        _words(text, aligned, sound_ms) if isinstance(aligned, list) else (),
    )


def _text(document: dict[str, Any], name: str) -> str:
    text = document.get(name)
    if not isinstance(text, str):
        raise BadAnswer(f"sent an answer without {name!r}")
    return text


def _choices(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    choices = document.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            yield choice


def _content(choice: dict[str, Any]) -> str:
    delta = choice.get("delta")
    content = delta.get("content") if isinstance(delta, dict) else None
    return content if isinstance(content, str) else ""


def _words(text: str, aligned: list[Any], sound_ms: int) -> tuple[WrittenWord, ...]:
    try:
        return word_times(text, aligned, sound_ms)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadAnswer("sent words without times") from error
