"""Any server with OpenAI's `POST /v1/audio/transcriptions`: OpenAI itself, Speaches, vLLM, LocalAI ...

A server that is asked for a stream and answers with one document all the same (whisper-1) is understood.
"""

import asyncio
import io
import random
import re
import wave
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

import httpx

from pipeline.engines.http.http_provider import Provider, body_of, words_of
from pipeline.engines.http.server_events import DONE, BadAnswer, documents, parsed, whole
from pipeline.engines.ports import Transcript, Utterance, WrittenWord
from pipeline.engines.stt.pcm_samples import RATE, named_language, samples
from pipeline.engines.stt.whisper_windows import is_silent
from pipeline.engines.stt.whisper_words import word_times
from schemas.errors import EngineError, EngineFailed
from schemas.settings.listening_settings import TranscriptionProviderSettings

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
    async with aclosing(documents(parts)) as items:
        async for document in items:
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


_PATH: Final = "/v1/audio/transcriptions"
_ATTEMPTS: Final = 2
_LONGEST_WAIT_S: Final = 0.25
"""Before the second attempt, at random: those that failed together do not come back together."""


class OpenAiTranscription:
    """Satisfies SpeechToText. A request that gave nothing yet is tried twice; closing a stream hangs up."""

    def __init__(self, name: str, settings: TranscriptionProviderSettings) -> None:
        self._provider = Provider(name, settings.api_key)
        self._settings = settings
        self._engine = f"{name} {settings.model}"
        self.open_streams = 0
        """Utterances that are being written down elsewhere."""

    @property
    def providers(self) -> tuple[str, ...]:
        return ()

    async def transcribe(self, utterance: Utterance) -> AsyncGenerator[str | Transcript, None]:
        """See `SpeechToText.transcribe`. Silence is not sent. Words have times only without streaming."""
        language = named_language(utterance)
        if is_silent(samples(utterance.pcm)):
            yield Transcript("", language, self._engine)
            return
        self.open_streams += 1
        began, text, answer = perf_counter(), "", TranscriptionAnswer()
        try:
            async with aclosing(self._attempts(utterance)) as items:
                async for item in items:
                    if isinstance(item, TranscriptionAnswer):
                        answer = item
                        continue
                    text += item
                    yield item
        finally:
            self.open_streams -= 1
        took_ms = (perf_counter() - began) * 1_000
        known = answer.language or language
        yield Transcript(text or answer.text or "", known, self._engine, answer.words, took_ms)

    async def aclose(self) -> None:
        await self._provider.aclose()

    async def _attempts(self, utterance: Utterance) -> AsyncGenerator[str | TranscriptionAnswer, None]:
        for attempt in range(1, _ATTEMPTS + 1):
            heard = False
            try:
                async with aclosing(self._request(utterance)) as items:
                    async for item in items:
                        heard = True
                        yield item
            except EngineError as error:
                if heard or not error.retryable or attempt == _ATTEMPTS:
                    raise
                await asyncio.sleep(random.uniform(0.0, _LONGEST_WAIT_S))
            else:
                return

    async def _request(self, utterance: Utterance) -> AsyncGenerator[str | TranscriptionAnswer, None]:
        """Deltas that add up to the text (no space at either end), then the end."""
        name, timeout_s, heard = self._provider.name, self._settings.timeout_s, False
        request = self._provider.http.stream(
            "POST",
            self._settings.url + _PATH,
            data=self._fields(utterance),
            files={"file": ("speech.wav", _wav(utterance.pcm), "audio/wav")},
            timeout=timeout_s,
        )
        try:
            async with request as response:
                await self._provider.refuse(response)
                if not response.headers.get("content-type", "").startswith("text/event-stream"):
                    sound_ms = len(utterance.pcm) * 1_000 // (2 * RATE)
                    yield document_of(await whole(body_of(response)), sound_ms)
                    return
                async with aclosing(_trimmed(events(body_of(response)))) as items:
                    async for item in items:
                        heard = True
                        yield item
        except BadAnswer as error:
            raise EngineFailed(f"{name} {self._provider.hidden(str(error))}.") from error
        except httpx.HTTPError as error:
            if heard:
                raise EngineFailed(f"{name} broke off in the middle of an utterance.") from error
            raise self._provider.broke_off(error, timeout_s) from error

    def _fields(self, utterance: Utterance) -> dict[str, Any]:
        """Only what is needed: OpenAI refuses fields that it does not know."""
        fields: dict[str, Any] = {"model": self._settings.model, "response_format": "json"}
        if language := named_language(utterance):
            fields["language"] = language
        if utterance.prompt:
            fields["prompt"] = utterance.prompt
        if self._settings.stream:
            fields["stream"] = "true"
        elif utterance.words:
            fields |= {"response_format": "verbose_json", "timestamp_granularities[]": "word"}
        return fields


async def _trimmed(
    items: AsyncGenerator[str | TranscriptionAnswer, None],
) -> AsyncGenerator[str | TranscriptionAnswer, None]:
    """Without the space before and after all the text; what the end says beyond the deltas is one more.

    Where the end contradicts what was told, what was told stays.
    """
    sent, space = "", ""
    async with aclosing(items):
        async for item in items:
            if isinstance(item, TranscriptionAnswer):
                text = (item.text or "").strip()
                if text.startswith(sent) and text != sent:
                    yield text[len(sent) :]
                yield item
                return
            delta = space + item if sent else item.lstrip()
            space = delta[len(delta.rstrip()) :]
            if delta := delta.rstrip():
                sent += delta
                yield delta


def _wav(pcm: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(pcm[: len(pcm) // 2 * 2])
    return file.getvalue()
