"""A voice with its encoder: what runs in the text-to-speech replica, so that audio is encoded once."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from pipeline.audio.opus import CHUNK_MS, DELAY_MS, PACKET_MS, OpusEncoder, frame
from pipeline.engines.ports import AS_CONFIGURED, EngineResult, OpusChunk, TextToSpeech, WordTimes
from schemas.settings import TextToSpeechSettings
from schemas.settings.provider_settings import LOCAL

_MOST: Final = CHUNK_MS // PACKET_MS // 2
"""Packets of a chunk. Twice as many may be imported, but would not fit into an event at every bitrate."""


class EncodingSpeaker:
    """Speaks as soon as the voice does: no chunk waits for the next one.

    The encoder is always 6.5 ms behind, so a last packet remains when the voice has ended, and `last` can be
    said of it without holding anything back.
    """

    def __init__(self, tts: TextToSpeech, settings: TextToSpeechSettings) -> None:
        self._tts = tts
        self._bitrate = settings.bitrate

    @property
    def voices(self) -> tuple[str, ...]:
        return self._tts.voices

    @property
    def providers(self) -> Mapping[str, tuple[str, ...]]:
        return {LOCAL: self.voices}

    async def speak(
        self, text: str, *, voice: str, speed: float = 1.0, delivery: EngineResult = AS_CONFIGURED
    ) -> AsyncGenerator[WordTimes | OpusChunk, None]:
        """See `Speaker.speak`."""
        encoder = OpusEncoder(self._tts.sample_rate, self._bitrate)
        sound = self._tts.synthesize(text, voice=voice, speed=speed, delivery=delivery)
        made: list[WordTimes | OpusChunk] = []
        async with aclosing(sound) as parts:
            async for part in parts:
                if isinstance(part, WordTimes):  # held back: a voice that makes no sound must leave none
                    made = [_delayed(part)]
                elif packets := await asyncio.to_thread(encoder.encode, part):
                    made.extend(_chunks(packets))
                    for item in made:
                        yield item
                    made = []
        if packets := await asyncio.to_thread(encoder.finish):
            made.extend(_chunks(packets, last=True))
            for item in made:
                yield item

    async def aclose(self) -> None:
        await self._tts.aclose()


def _chunks(packets: list[bytes], *, last: bool = False) -> Iterator[OpusChunk]:
    """The packets as one chunk, or as several where a voice gave very much at once."""
    for start in range(0, len(packets), _MOST):
        part, end = packets[start : start + _MOST], start + _MOST >= len(packets)
        yield OpusChunk(frame(part), ms=PACKET_MS * len(part), last=last and end)


def _delayed(times: WordTimes) -> WordTimes:
    """Word times of the engine's audio, told of the decoded audio."""
    return WordTimes(
        tuple(
            replace(word, start_ms=word.start_ms + DELAY_MS, end_ms=word.end_ms + DELAY_MS)
            for word in times.words
        )
    )
