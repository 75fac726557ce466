"""Sound that comes inside items, rather than by microphone: written down before the item is there."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from pipeline.audio.input_formats import RATE, Incoming, IncomingFormat
from pipeline.engines.ports import SpeechToText, Transcript, Utterance
from schemas.errors.realtime_errors import RealtimeInvalid
from schemas.realtime.realtime_items import RealtimeInputAudio, UserMessage

I = TypeVar("I", bound=BaseModel)  # noqa: E741 - an item
_FORMATS: Final[Mapping[str, tuple[IncomingFormat, int]]] = {
    "audio/pcm": ("pcm16", 24_000),
    "audio/pcmu": ("mulaw", 8_000),
    "audio/pcma": ("alaw", 8_000),
}
_LONGEST_S: Final = 30
Charge = Callable[[str, int], Awaitable[None]]
"""Asked before so many milliseconds of a principal's are written down; refuses by raising LimitReached."""


def silent_parts(item: BaseModel) -> list[int]:
    """The parts of a message that are sound without a transcript."""
    if not isinstance(item, UserMessage):
        return []
    return [
        number
        for number, part in enumerate(item.content)
        if isinstance(part, RealtimeInputAudio) and part.transcript is None
    ]


async def written_down(
    item: I, config: Mapping[str, Any], writer: SpeechToText, charge: Charge, principal: str
) -> I:
    """The item with all transcripts. Raises RealtimeInvalid, an EngineError, or what `charge` raises."""
    parts = list(getattr(item, "content", ()))
    heard = config["audio"]["input"]
    language = (heard["transcription"] or {}).get("language")
    for number in silent_parts(item):
        field = f"item.content[{number}].audio"
        pcm = _decoded(parts[number].audio, heard["format"]["type"], field)
        await charge(principal, len(pcm) * 1_000 // (2 * RATE))
        named = language.partition("-")[0] if language and language != "auto" else None
        text = await _text(pcm, named, writer)
        parts[number] = parts[number].model_copy(update={"transcript": text})
    return item.model_copy(update={"content": tuple(parts)}) if parts else item


def _decoded(audio: str | None, format: str, field: str) -> bytes:
    if not audio:
        raise RealtimeInvalid(
            "input_audio has audio or a transcript.", reason="missing_required_parameter", field=field
        )
    try:
        sound = base64.b64decode(audio, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RealtimeInvalid(f"Invalid '{field}': it is not base64.", field=field) from error
    kind, rate = _FORMATS[format]
    if len(sound) > (2 if kind == "pcm16" else 1) * rate * _LONGEST_S:
        raise RealtimeInvalid(f"Sound in an item lasts at most {_LONGEST_S} s.", field=field)
    incoming = Incoming(kind, rate)
    return incoming.push(sound) + incoming.flush()


async def _text(pcm: bytes, language: str | None, writer: SpeechToText) -> str:
    async with aclosing(writer.transcribe(Utterance(pcm, language))) as stream:
        async for piece in stream:
            if isinstance(piece, Transcript):
                return piece.text
    return ""
