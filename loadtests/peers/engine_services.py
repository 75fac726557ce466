"""One engine behind OpenAI's interface and nothing around it: what every system of the race is given.

python -m loadtests.peers.engine_services chat|speech|listeners PORT SETTINGS_JSON
"""

import asyncio
import io
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Annotated, Any, Final

import numpy as np
import orjson
import soxr
import uvicorn
from fastapi import Body, FastAPI, Form, UploadFile
from fastapi.responses import Response, StreamingResponse

from pipeline.audio.sound_files import SoundFile
from pipeline.engines.ports import (
    ChatRequest,
    Completion,
    LanguageModel,
    Message,
    SpeechToText,
    TextToSpeech,
    Utterance,
    WordTimes,
)
from pipeline.engines.registry import build_language_model, build_speech_to_text, build_text_to_speech
from pipeline.stt.utterance_transcriber import write_down
from schemas.settings import AppSettings

_RATE: Final = 24_000
"""Sample rate of `pcm`, as OpenAI documents it."""


class _OpenRequests:
    """How many requests are at work, and when each came and had its first answer (monotonic seconds)."""

    def __init__(self, app: FastAPI) -> None:
        self._open = 0
        self._marks: deque[tuple[float, float]] = deque(maxlen=1_000)
        app.get("/open")(self.count)
        app.get("/marks")(self.marks)

    async def count(self) -> int:
        """Asked between two measurements: the next one begins on idle engines."""
        return self._open

    async def marks(self) -> list[tuple[float, float]]:
        """Since they were last asked for, in the order of the first answers."""
        told = list(self._marks)
        self._marks.clear()
        return told

    @contextmanager
    def busy(self) -> Iterator[Callable[[], None]]:
        """Count a request; the yielded function is called at every piece of the answer."""
        self._open += 1
        came, answered = time.monotonic(), False

        def mark() -> None:
            nonlocal answered
            if not answered:
                answered = True
                self._marks.append((came, time.monotonic()))

        try:
            yield mark
        finally:
            self._open -= 1


def chat_app(model: LanguageModel) -> FastAPI:
    """`POST /v1/chat/completions`, streamed."""
    requests = _OpenRequests(app := FastAPI())

    @app.post("/v1/chat/completions")
    async def complete(body: Annotated[dict[str, Any], Body()]) -> Response:
        return StreamingResponse(_words(model, body, requests), media_type="text/event-stream")

    return app


async def _words(
    model: LanguageModel, body: dict[str, Any], requests: _OpenRequests
) -> AsyncGenerator[bytes, None]:
    request = ChatRequest(
        tuple(Message(each["role"], _text(each["content"])) for each in body["messages"]),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens") or 320,
        temperature=float(body.get("temperature") or 0.0),
        stop=tuple(body.get("stop") or ()),
    )
    yield _event({"role": "assistant", "content": ""})
    with requests.busy() as mark:
        async with aclosing(model.stream(request)) as items:
            async for item in items:
                mark()
                if isinstance(item, str):
                    yield _event({"content": item})
                elif isinstance(item, Completion):
                    yield _event({}, item.finish)
                    yield _usage(item)
    yield b"data: [DONE]\n\n"


def _text(content: str | list[dict[str, str]] | None) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    return _chunk([{"index": 0, "delta": delta, "finish_reason": finish}], None)


def _usage(done: Completion) -> bytes:
    told = {"prompt_tokens": done.tokens_in, "completion_tokens": done.tokens_out}
    return _chunk([], told | {"total_tokens": done.tokens_in + done.tokens_out})


def _chunk(choices: list[dict[str, Any]], usage: dict[str, int] | None) -> bytes:
    chunk = {
        "id": "chatcmpl-race",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": "race",
        "choices": choices,
        "usage": usage,
    }
    return b"data: %s\n\n" % orjson.dumps(chunk)


def speech_app(voice: TextToSpeech) -> FastAPI:
    """`POST /v1/audio/speech` with `response_format: pcm`: every piece leaves when the voice has made it."""
    requests = _OpenRequests(app := FastAPI())

    @app.post("/v1/audio/speech")
    async def speak(body: Annotated[dict[str, Any], Body()]) -> Response:
        return StreamingResponse(_sound(voice, body, requests), media_type="audio/pcm")

    return app


async def _sound(
    voice: TextToSpeech, body: dict[str, Any], requests: _OpenRequests
) -> AsyncGenerator[bytes, None]:
    rates = soxr.ResampleStream(voice.sample_rate, _RATE, 1, dtype="int16", quality="LQ")
    with requests.busy() as mark:
        async with aclosing(
            voice.synthesize(body["input"], voice=voice.voices[0], speed=body.get("speed") or 1.0)
        ) as items:
            async for item in items:
                if not isinstance(item, WordTimes):
                    mark()
                    yield _resampled(rates, item)
    yield _resampled(rates, b"", last=True)


def _resampled(rates: Any, pcm: bytes, *, last: bool = False) -> bytes:
    return bytes(rates.resample_chunk(np.frombuffer(pcm, np.int16), last=last).tobytes())


def transcription_app(player: SpeechToText) -> FastAPI:
    """`POST /v1/audio/transcriptions`, answered with one document."""
    requests = _OpenRequests(app := FastAPI())

    @app.post("/v1/audio/transcriptions")
    async def listen(file: UploadFile, language: Annotated[str | None, Form()] = None) -> dict[str, str]:
        with requests.busy() as mark:
            pcm = await asyncio.to_thread(_pcm, await file.read())
            written = await write_down(player, Utterance(pcm, language or "en"))
            mark()
        return {"text": written.text}

    return app


def _pcm(file: bytes) -> bytes:
    with SoundFile(io.BytesIO(file)) as sound:
        return b"".join(sound.pieces())


def _app(kind: str, settings: AppSettings) -> FastAPI:
    match kind:
        case "chat":
            return chat_app(build_language_model(settings.language_model, settings.cache))
        case "speech":
            return speech_app(build_text_to_speech(settings.text_to_speech, settings.cache))
        case "stt":
            return transcription_app(build_speech_to_text(settings.speech_to_text, settings.cache))
    raise ValueError(f"there is no service {kind!r}")


def main(kind: str, port: int, settings: AppSettings) -> None:
    """Serve until killed."""
    uvicorn.run(_app(kind, settings), host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), AppSettings.model_validate_json(sys.argv[3]))
