"""What transcription servers send: one JSON document, or server-sent events of several dialects."""

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from pipeline.engines.base import WrittenWord
from pipeline.engines.provider import words_of
from pipeline.engines.whisper_words import word_times

_MOST_BYTES: Final = 16 << 20
"""Of one answer: an hour of words and their times. A server that sends more has lost its way."""


class BadAnswer(Exception):
    """The server's answer makes no sense; says why, to follow its name."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The end: all the text, if it is said again, and what else the server tells."""

    text: str | None = None
    language: str = ""
    words: tuple[WrittenWord, ...] = ()


async def events(parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[str | Answer, None]:
    """Deltas of an event stream, then its end. OpenAI's events, vLLM's chunks, and Speaches' bare texts."""
    async with aclosing(_documents(parts)) as documents:
        async for document in documents:
            kind = document.get("type", "")
            if kind == "error" or "error" in document:
                raise BadAnswer(f"failed: {words_of(document)}")
            if kind == "transcript.text.done":
                yield Answer(_text(document, "text"))
                return
            if kind == "transcript.text.delta":
                yield _text(document, "delta")
            elif "choices" in document:
                yield "".join(_contents(document["choices"]))
    yield Answer()


def document_of(data: bytes, sound_ms: int) -> Answer:
    """The answer as "json" or "verbose_json"."""
    document = _parsed(data)
    text = _text(document, "text").strip()
    aligned = document.get("words")
    language = document.get("language")
    return Answer(
        text,
        # Whisper's own server says "english": only codes are of use to us.
        language if isinstance(language, str) and len(language) <= 3 else "",
        _words(text, aligned, sound_ms) if isinstance(aligned, list) else (),
    )


async def whole(parts: AsyncGenerator[bytes, None]) -> bytes:
    """A body of bounded length."""
    body = bytearray()
    async with aclosing(parts):
        async for part in parts:
            body += part
            if len(body) > _MOST_BYTES:
                raise BadAnswer("does not come to an end")
    return bytes(body)


async def _documents(parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[dict[str, Any], None]:
    """The data of each event, until "[DONE]"; every server puts it on one line."""
    waiting, total = b"", 0
    async with aclosing(parts):
        async for part in parts:
            total += len(part)
            if total > _MOST_BYTES:
                raise BadAnswer("does not come to an end")
            *lines, waiting = (waiting + part).replace(b"\r", b"\n").split(b"\n")
            for line in lines:
                data = line.removeprefix(b"data:").strip()
                if data == b"[DONE]":
                    return
                if line.startswith(b"data:"):
                    yield _parsed(data)


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise BadAnswer("sent something that is no JSON") from error
    if not isinstance(document, dict):
        raise BadAnswer("sent something that is no JSON object")
    return document


def _text(document: dict[str, Any], name: str) -> str:
    text = document.get(name)
    if not isinstance(text, str):
        raise BadAnswer(f"sent an answer without {name!r}")
    return text


def _contents(choices: Any) -> Iterator[str]:
    for choice in choices if isinstance(choices, list) else ():
        content = choice.get("delta", {}).get("content") if isinstance(choice, dict) else None
        if isinstance(content, str):
            yield content


def _words(text: str, aligned: list[Any], sound_ms: int) -> tuple[WrittenWord, ...]:
    try:
        return word_times(text, aligned, sound_ms)
    except (KeyError, TypeError, ValueError) as error:
        raise BadAnswer("sent words without times") from error
