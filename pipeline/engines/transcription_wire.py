"""What transcription servers send: one JSON document, or server-sent events of several dialects."""

import json
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from pipeline.engines.base import WrittenWord
from pipeline.engines.provider import words_of
from pipeline.engines.whisper_words import word_times

_MOST_BYTES: Final = 16 << 20
"""Of one answer: an hour of words and their times. A server that sends more has lost its way."""


_CODE: Final = re.compile(r"[a-z]{2,3}")
_DONE: Final[dict[str, Any]] = {}
"""Stands for "[DONE]"."""


class BadAnswer(Exception):
    """The server's answer makes no sense; says why, to follow its name."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The end: all the text, if it is said again, and what else the server tells."""

    text: str | None = None
    language: str = ""
    words: tuple[WrittenWord, ...] = ()


async def events(parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[str | Answer, None]:
    """Deltas of an event stream, then its end: OpenAI's events, or vLLM's chunks.

    A stream that does not say that it is over is not all of the text.
    """
    finished = False
    async with aclosing(_documents(parts)) as documents:
        async for document in documents:
            kind = document.get("type", "")
            if kind == "error" or document.get("error"):
                raise BadAnswer(f"failed: {words_of(document)}")
            if kind == "transcript.text.done":
                yield Answer(_text(document, "text"))
                return
            if kind == "transcript.text.delta":
                yield _text(document, "delta")
            for choice in _choices(document):
                yield _content(choice)
                finished = finished or bool(choice.get("finish_reason"))
            finished = finished or document is _DONE
    if not finished:
        raise BadAnswer("broke off in the middle of an utterance")
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
        language if isinstance(language, str) and _CODE.fullmatch(language) else "",
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
    """The data of each event, up to "[DONE]" (`_DONE`); every server puts it on one line."""
    waiting, total = b"", 0
    async with aclosing(parts):
        async for part in parts:
            total += len(part)
            if total > _MOST_BYTES:
                raise BadAnswer("does not come to an end")
            *lines, waiting = (waiting + part).replace(b"\r", b"\n").split(b"\n")
            for line in lines:
                if (document := _document_on(line)) is not None:
                    yield document
        if (document := _document_on(waiting)) is not None:
            yield document


def _document_on(line: bytes) -> dict[str, Any] | None:
    if not line.startswith(b"data:"):
        return None
    data = line.removeprefix(b"data:").strip()
    return _DONE if data == b"[DONE]" else _parsed(data)


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadAnswer("sent something that is no JSON") from error
    if not isinstance(document, dict):
        raise BadAnswer("sent something that is no JSON object")
    return document


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
