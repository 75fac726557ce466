"""One Wyoming connection: speech to text, text to speech, conversation, and all three one after the other."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, Protocol, Self

from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioChunkConverter, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, Eventable, async_write_event
from wyoming.handle import Handled, HandledChunk, HandledStart, HandledStop, NotHandled
from wyoming.info import (
    AsrModel,
    AsrProgram,
    Attribution,
    HandleModel,
    HandleProgram,
    Info,
    TtsProgram,
    TtsVoice,
)
from wyoming.ping import Ping, Pong
from wyoming.pipeline import PipelineStage, RunPipeline

from cluster.client.wyoming.wyoming_speech import SPOKEN_RATE, WAITING, TextReader, answered, put
from rhapsode import ApiError, AsyncRhapsode, AsyncSession, AsyncTurn
from schemas.languages import ANY, LANGUAGE_NAMES
from schemas.version import VERSION

_RATE: Final = 16_000
TAKES_S: Final = 30.0
"""Seconds for which an event waits at the most for a client that does not read."""


class KnownConversations(Protocol):
    """Sessions by conversation."""

    def find(self, conversation: str) -> str | None: ...
    def note(self, conversation: str, session: str) -> None: ...


class WyomingConnection:
    """Translates events of one client to calls of a Rhapsode, and back. Every exchange is a session."""

    def __init__(
        self, client: AsyncRhapsode, conversations: KnownConversations, writer: asyncio.StreamWriter
    ) -> None:
        self._client = client
        self._conversations = conversations
        self._writer = writer
        self._asked = Transcribe()
        self._pipeline: RunPipeline | None = None
        self._converter = AudioChunkConverter(rate=_RATE, width=2, channels=1)
        self._sound: asyncio.Queue[bytes] | None = None
        self._hearing: asyncio.Task[tuple[AsyncSession, str]] | None = None
        self.reader = TextReader(client, self._tell)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._forget()

    async def _forget(self) -> None:
        """Ends what is under way."""
        await self.reader.forget()
        hearing = self._hearing
        self._hearing = self._sound = self._pipeline = None
        if hearing is not None:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    async def handle(self, event: Event) -> None:
        """Answers one event; unknown ones are dropped, as the protocol wants."""
        step = _STEPS.get(event.type)
        if step is None:
            return
        try:
            await step(self, event)
        except ApiError as error:
            await self._forget()
            await self._tell(Error(text=str(error), code=error.code))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            text = f"The event {event.type} is not as the protocol has it: {error}."
            await self._tell(Error(text=text, code="event.invalid"))

    async def _tell(self, eventable: Eventable) -> None:
        """Raises TimeoutError."""
        async with asyncio.timeout(TAKES_S):
            await async_write_event(eventable.event(), self._writer)

    async def _describe(self, _: Event) -> None:
        await self._tell(info_of(await self._client.voices()))

    async def _ping(self, event: Event) -> None:
        await self._tell(Pong(text=Ping.from_event(event).text))

    # ------------------------------------------------------------ speech to text

    async def _transcribe(self, event: Event) -> None:
        self._asked = Transcribe.from_event(event)

    async def _run_pipeline(self, event: Event) -> None:
        self._pipeline = RunPipeline.from_event(event)

    async def _begin_sound(self, _: Event) -> None:
        if self._hearing is not None:
            raise ValueError("sound is being heard already")
        self._converter = AudioChunkConverter(rate=_RATE, width=2, channels=1)
        self._sound = asyncio.Queue(WAITING)
        self._hearing = asyncio.create_task(self._hear(self._sound))

    async def _add_sound(self, event: Event) -> None:
        chunk = AudioChunk.from_event(event)
        if self._sound is None or self._hearing is None:
            raise ValueError("audio-start comes first")
        if (
            chunk.rate not in range(8_000, 192_001)
            or chunk.width not in (1, 2, 4)
            or chunk.channels not in (1, 2)
        ):
            raise ValueError("sound has 8 to 192 kHz, 1, 2 or 4 bytes and one or two channels")
        if len(chunk.audio) % (chunk.width * chunk.channels):
            raise ValueError("sound ends with a whole sample of each channel")
        pcm = (await asyncio.to_thread(self._converter.convert, chunk)).audio
        await put(self._sound, pcm, self._hearing)

    async def _end_sound(self, _: Event) -> None:
        if self._sound is None or self._hearing is None:
            raise ValueError("audio-start comes first")
        sound, hearing, self._sound, self._hearing = self._sound, self._hearing, None, None
        pipeline, self._pipeline = self._pipeline, None
        await put(sound, b"", hearing)
        session, text = await hearing
        context = {"session_id": session.id}
        await self._tell(Transcript(text=text, language=self._asked.language, context=context))
        if pipeline is None or pipeline.end_stage == PipelineStage.ASR or not text:
            return
        spoken = pipeline.end_stage == PipelineStage.TTS
        await self._answer(await session.ask(text, speak=spoken), context, spoken=spoken)

    async def _hear(self, sound: "asyncio.Queue[bytes]") -> tuple[AsyncSession, str]:
        """Returns the session and all that was said, once the sound has ended."""
        asked = self._asked
        names = ", ".join([*(asked.transcript_names or ()), *(asked.transcript_terms or ())])
        listening = {"turn_detection": "manual", "reply": False, "prompt": names[:2_000]}
        settings = {"language": asked.language} if asked.language else {}
        session = await self._client.create(title="Wyoming", listening=listening, **settings)
        texts: list[str] = []
        told = ""
        await self._tell(TranscriptStart(language=asked.language))
        async with aclosing(session.listen(_pieces(sound), rate=_RATE)) as events:
            async for event in events:
                if event.type == "transcript.final" and event.data["text"]:
                    texts.append(event.data["text"])
                elif event.type == "transcript.failed":
                    raise ApiError(str(event.data["message"]), code=str(event.data["code"]))
                elif event.type != "transcript.partial":
                    continue
                stable = (
                    "" if event.type == "transcript.final" else event.data["text"][: event.data["stable"]]
                )
                text = " ".join([*texts, stable]).strip()
                if text.startswith(told) and len(text) > len(told):
                    await self._tell(TranscriptChunk(text=text[len(told) :]))
                    told = text
        await self._tell(TranscriptStop())
        return session, " ".join(texts)

    # ------------------------------------------------------------ conversation

    async def _converse(self, event: Event) -> None:
        """A transcript asks for an answer, in the session of its conversation."""
        transcript = Transcript.from_event(event)
        context = transcript.context or {}
        name = str(context.get("conversation_id") or "")[:200]
        known = self._conversations.find(name) if name else None
        try:
            session = self._client.session(known) if known else await self._begin_conversation(name)
            try:
                turn = await session.ask(transcript.text, speak=False)
            except ApiError as error:
                if not known or error.code not in ("session.not_found", "session.gone"):
                    raise
                turn = await (await self._begin_conversation(name)).ask(transcript.text, speak=False)
            await self._answer(turn, transcript.context, spoken=False)
        except ApiError as error:
            await self._tell(NotHandled(text=str(error), context=transcript.context))

    async def _begin_conversation(self, name: str) -> AsyncSession:
        session = await self._client.create(title="Wyoming")
        if name:
            self._conversations.note(name, session.id)
        return session

    async def _answer(self, turn: AsyncTurn, context: Mapping[str, Any] | None, *, spoken: bool) -> None:
        """The answer's text in pieces and as a whole, and its sound where it is wanted."""
        kept = dict(context) if context else None
        parts: list[str] = []
        sounding = False
        await self._tell(HandledStart(context=kept))
        async for kind, text, sound in answered(turn, spoken=spoken):
            if kind == "text.delta":
                parts.append(text)
                await self._tell(HandledChunk(text=text))
            elif kind == "text.completed":
                await self._tell(Handled(text="".join(parts), context=kept))
                await self._tell(HandledStop())
            elif sound:
                if not sounding:
                    await self._tell(AudioStart(rate=SPOKEN_RATE, width=2, channels=1))
                sounding = True
                await self._tell(AudioChunk(rate=SPOKEN_RATE, width=2, channels=1, audio=sound))
        if sounding:
            await self._tell(AudioStop())


async def _pieces(sound: "asyncio.Queue[bytes]") -> AsyncGenerator[bytes, None]:
    while piece := await sound.get():
        yield piece


_STEPS: Final[Mapping[str, Callable[[WyomingConnection, Event], Awaitable[None]]]] = {
    "describe": WyomingConnection._describe,
    "ping": WyomingConnection._ping,
    "transcribe": WyomingConnection._transcribe,
    "run-pipeline": WyomingConnection._run_pipeline,
    "audio-start": WyomingConnection._begin_sound,
    "audio-chunk": WyomingConnection._add_sound,
    "audio-stop": WyomingConnection._end_sound,
    "transcript": WyomingConnection._converse,
    "synthesize": lambda connection, event: connection.reader.synthesize(event),
    "synthesize-start": lambda connection, event: connection.reader.begin(event),
    "synthesize-chunk": lambda connection, event: connection.reader.add(event),
    "synthesize-stop": lambda connection, event: connection.reader.end(event),
}


_ABOUT: Final[Mapping[str, Any]] = {
    "attribution": Attribution(name="Rhapsode", url=""),
    "installed": True,
    "version": VERSION,
}


def info_of(voices: Mapping[str, Any]) -> Info:
    """The services of a server that has these voices; `voices` is the answer of `/v1/voices`."""
    known = sorted(LANGUAGE_NAMES)
    languages: Mapping[str, Sequence[str]] = voices.get("languages", {}).get("local", {})
    return Info(
        asr=[
            AsrProgram(
                name="rhapsode",
                description="Rhapsode's speech to text",
                models=[AsrModel(name="rhapsode", description="Whisper", languages=known, **_ABOUT)],
                supports_transcript_streaming=True,
                **_ABOUT,
            )
        ],
        tts=[
            TtsProgram(
                name="rhapsode",
                description="Rhapsode's voices",
                voices=[
                    TtsVoice(
                        name=name,
                        description=name,
                        languages=_named(languages.get(name, ()), known),
                        **_ABOUT,
                    )
                    for name in voices["voices"]
                ],
                supports_synthesize_streaming=True,
                **_ABOUT,
            )
        ],
        handle=[
            HandleProgram(
                name="rhapsode",
                description="Rhapsode's language model",
                models=[HandleModel(name="rhapsode", description="Conversation", languages=known, **_ABOUT)],
                supports_handled_streaming=True,
                **_ABOUT,
            )
        ],
    )


def _named(languages: Sequence[str], known: list[str]) -> list[str]:
    """Home Assistant has no tag for every language."""
    return known if ANY in languages or not languages else list(languages)
