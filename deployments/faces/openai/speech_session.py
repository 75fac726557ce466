"""A text spoken for a client of OpenAI's: a session with one turn, and its audio as one file."""

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import anyio

from deployments.container import GatewayContainer
from deployments.faces.openai.chunk_translator import failure
from deployments.faces.openai.request_mapping import patch_of, title_of
from pipeline.audio.audio_files import StoredChunk, file_stream
from pipeline.audio.audio_formats import StreamFormat
from pipeline.audio.opus import silence
from pipeline.auth.principals import Principal
from pipeline.tts.ssml import is_ssml, parse
from schemas.errors import EngineFailed, InputTooLong
from schemas.errors.openai_errors import AnswerStopped
from schemas.events.recorded import Recorded
from schemas.ids import SessionId, TurnId
from schemas.native.client_commands import CreateSession, RequestTurn
from schemas.openai.chat_request import voice_name
from schemas.openai.speech_request import SpeechRequest

_CHARS_PER_TOKEN: Final = 4
_SILENCE_MS: Final = 200
"""Audio of a text without anything to speak."""
_TOKENS_PER_S: Final = 20
"""About: nobody counts tokens of speech here."""


@dataclass(frozen=True, slots=True)
class SpeechFile:
    """Speech that is being synthesized."""

    session: SessionId
    turn: TurnId
    format: StreamFormat
    chars: int


def usage_of(spoken: SpeechFile, audio_ms: int) -> dict[str, int]:
    input_tokens = math.ceil(spoken.chars / _CHARS_PER_TOKEN)
    made = math.ceil(audio_ms * _TOKENS_PER_S / 1_000)
    return {"input_tokens": input_tokens, "output_tokens": made, "total_tokens": input_tokens + made}


@dataclass(frozen=True, slots=True)
class SpeechSessions:
    """Requests of the face."""

    services: GatewayContainer

    def without_effect(self, request: SpeechRequest) -> tuple[str, ...]:
        """Fields that the voice which is asked for does not know. Raises ModelNotFound."""
        ours = self.services.names.speech(request.model).provider is None
        return ("instructions",) if request.instructions and ours else ()

    async def begin(self, request: SpeechRequest, caller: Principal) -> SpeechFile:
        """Raises InputError, LimitReached or StateError."""
        model = self.services.names.speech(request.model)
        if len(request.input) > self.services.settings.openai.input_chars:
            most = self.services.settings.openai.input_chars
            raise InputTooLong(
                f"{len(request.input)} characters are too many; at most {most} are taken", field="input"
            )
        if is_ssml(request.input):
            parse(request.input, field="input")
        params = {
            "speak": True,
            "listening": {"mode": "realtime"},  # in the legacy way nothing is heard before all is there
            "voice": self.services.names.voice(voice_name(request.voice), model.provider),
            "tts_provider": model.provider,
            "speech_speed": request.speed or 1.0,
        } | ({"instructions": request.instructions} if request.instructions else {})
        settings = patch_of(params, {"speech_speed": "speed"})
        session, *_ = await self.services.sessions.create(
            CreateSession(settings=settings, title=title_of(request.input)),
            kind="completion",
            principal=caller.name,
        )
        try:
            turn = await self.services.sessions.request(session, RequestTurn(text=request.input))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.services.sessions.finish(session)
            raise
        return SpeechFile(session, turn, request.response_format or "mp3", len(request.input))

    async def sound(self, spoken: SpeechFile) -> AsyncGenerator[tuple[bytes, int], None]:
        """The file, piece by piece, and how many milliseconds of sound there are so far.

        Raises what a sentence failed with: nothing is left out in silence.
        """
        file, ms, whole = file_stream(spoken.format), 0, False
        log_events = self.services.turn_events(spoken.session, spoken.turn, after=spoken.turn, audio=True)
        async with aclosing(log_events) as events:
            async for recorded in events:
                if recorded is None or recorded.turn != spoken.turn:
                    continue
                _refuse_failure(recorded)
                whole = whole or recorded.type == "turn.completed"
                if recorded.type == "audio.chunk":
                    ms = recorded.data["at_ms"] + recorded.data["ms"]
                    if made := await asyncio.to_thread(file.push, StoredChunk.of(recorded)):
                        yield made, ms
        if not whole:
            raise EngineFailed("the session of this speech was ended before it was whole")
        if not ms:  # an emoji, a row of dots: bots speak sentence by sentence, and go on with the next one
            ms = _SILENCE_MS
            yield await asyncio.to_thread(file.push, StoredChunk(silence(_SILENCE_MS), 0, _SILENCE_MS)), ms
        yield await asyncio.to_thread(file.finish), ms


def _refuse_failure(recorded: Recorded) -> None:
    if recorded.type in ("sentence.failed", "turn.failed"):
        raise failure(recorded.data["code"], recorded.data["message"])
    if recorded.type == "turn.stopped":
        raise AnswerStopped("the speech was stopped before it was whole")
