"""Text to speech for one Wyoming connection: whole texts, and texts that come in pieces."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event, Eventable
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStopped, SynthesizeVoice

from pipeline.tts.sentence_buffer import SentenceBuffer
from rhapsode import ApiError, AsyncRhapsode, AsyncSession, AsyncTurn
from schemas.settings import SentenceSettings

SPOKEN_RATE: Final = 24_000
WAITING: Final = 64
"""Pieces that wait to be sent on; when full, so does the client."""
_TEXT_CHARS: Final = 20_000
"""Of a text that comes in pieces; the server has the limit of a whole one."""


class TextReader:
    """Has texts read out; `tell` sends an event to the client."""

    def __init__(self, client: AsyncRhapsode, tell: Callable[[Eventable], Awaitable[None]]) -> None:
        self._client = client
        self._tell = tell
        self._reading: asyncio.Task[None] | None = None
        self._texts: asyncio.Queue[str] = asyncio.Queue(WAITING)
        self._buffer = SentenceBuffer(SentenceSettings())
        self._chars = 0

    async def forget(self) -> None:
        """Ends what is being read out."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def synthesize(self, event: Event) -> None:
        if self._reading is not None:
            return  # the whole of what comes in pieces, for servers that take no pieces
        asked = Synthesize.from_event(event)
        await self._read_out(asked.text, _voice_of(asked.voice))

    async def begin(self, event: Event) -> None:
        """A text that comes in pieces is read out sentence by sentence, while the rest of it comes."""
        if self._reading is not None:
            raise ValueError("a text is being read out already")
        settings = _voice_of(SynthesizeStart.from_event(event).voice)
        self._buffer, self._chars = SentenceBuffer(SentenceSettings(first_length=None)), 0
        self._texts = asyncio.Queue(WAITING)
        self._reading = asyncio.create_task(self._read_pieces(self._texts, settings))

    async def add(self, event: Event) -> None:
        if self._reading is None:
            raise ValueError("synthesize-start comes first")
        text = SynthesizeChunk.from_event(event).text
        self._chars += len(text)
        if self._chars > _TEXT_CHARS:
            raise ValueError(f"a text has at most {_TEXT_CHARS} characters")
        for fragment in self._buffer.push(text):
            await put(self._texts, fragment.text, self._reading)

    async def end(self, _: Event) -> None:
        if self._reading is None:
            raise ValueError("synthesize-start comes first")
        reading, self._reading = self._reading, None
        for text in (*(fragment.text for fragment in self._buffer.flush()), ""):
            await put(self._texts, text, reading)
        await reading
        await self._tell(SynthesizeStopped())

    async def _read_pieces(self, texts: "asyncio.Queue[str]", settings: Mapping[str, Any]) -> None:
        async with self._sound_of_a_session(settings) as session:
            while text := await texts.get():
                await self._say(session, text)

    async def _read_out(self, text: str, settings: Mapping[str, Any]) -> None:
        async with self._sound_of_a_session(settings) as session:
            await self._say(session, text)

    @asynccontextmanager
    async def _sound_of_a_session(self, settings: Mapping[str, Any]) -> AsyncGenerator[AsyncSession, None]:
        """A new session, between the events that begin and end its sound."""
        session = await self._client.create(title="Wyoming", **settings)
        await self._tell(AudioStart(rate=SPOKEN_RATE, width=2, channels=1))
        yield session
        await self._tell(AudioStop())

    async def _say(self, session: AsyncSession, text: str) -> None:
        async for _, _, sound in answered(await session.say(text), spoken=True):
            if sound:
                await self._tell(AudioChunk(rate=SPOKEN_RATE, width=2, channels=1, audio=sound))


def _voice_of(wished: SynthesizeVoice | None) -> dict[str, Any]:
    """The settings of a session that speaks so."""
    if wished is None:
        return {}
    if wished.name is not None:
        return {"voice": wished.name}
    return {"language": wished.language} if wished.language else {}


async def put(queue: "asyncio.Queue[Any]", item: Any, reader: "asyncio.Task[Any]") -> None:
    """Waits for room as long as somebody reads; a reader that failed takes nothing more."""
    putting = asyncio.ensure_future(queue.put(item))
    await asyncio.wait((putting, reader), return_when=asyncio.FIRST_COMPLETED)
    putting.cancel()


async def answered(turn: AsyncTurn, *, spoken: bool) -> AsyncGenerator[tuple[str, str, bytes], None]:
    """Type, text and sound of a turn's events. Raises ApiError where it failed."""
    async with aclosing(turn.events(audio="pcm16" if spoken else "none")) as events:
        async for event in events:
            if event.type in ("turn.failed", "sentence.failed"):
                raise ApiError(str(event.data["message"]), code=str(event.data["code"]))
            yield event.type, str(event.data.get("text", "")), event.audio
