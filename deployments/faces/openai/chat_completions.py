"""One chat completion: from a request to a turn, and from its events to chunks with their cursors."""

import asyncio
import base64
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Protocol

import anyio

from deployments.container import GatewayContainer
from deployments.faces.openai.chunk_translator import Chunk, Cursor, Wanted
from deployments.faces.openai.request_mapping import (
    Place,
    llm_messages,
    question,
    settings_of,
    sounds,
    title_of,
)
from pipeline.auth.principals import Principal
from pipeline.session_state.conversation import Conversation
from pipeline.stt.inputs.recording_upload import file_with, recording_in
from schemas.errors import CursorForeign, EngineFailed, InputError, NotSound, RhapsodeError, SessionNotFound
from schemas.events.recorded import Recorded
from schemas.ids import SessionId, TurnId, created_ms, is_digits, parse_session_id
from schemas.native.client_commands import CreateSession, RequestTurn
from schemas.openai.chat_request import ChatCompletionRequest, voice_name

_SPOKEN_PARTS: Final = 16
"""In all messages of one request."""


class CompletionTranslator(Protocol):
    """From the events of a session to what a client is told; `over` after the turn's last event."""

    @property
    def over(self) -> bool: ...

    async def of(self, recorded: Recorded) -> list[Chunk]: ...


@dataclass(frozen=True, slots=True)
class Completions:
    """Requests of the face."""

    services: GatewayContainer

    async def begin(self, request: ChatCompletionRequest, caller: Principal) -> tuple[Wanted, SessionId]:
        """Ask for the answer in a session of its own, which is ended where that fails.

        Raises InputError, AccessError, LimitReached, StateError or EngineError.
        """
        names, sessions, limits = self.services.names, self.services.sessions, self.services.settings.limits
        model = names.chat(request.model)
        voice = None
        if request.audio is not None:
            voice = names.voice(voice_name(request.audio.voice), None, field="audio.voice")
        settings = settings_of(request, model, voice, self.services.settings.openai)
        answers = await self._answers(request, caller)
        spoken = await asyncio.to_thread(_decoded, request)
        said: dict[Place, str] = dict.fromkeys(spoken, "")
        if not spoken:  # all that can be wrong with the words is said before there is a session
            question(llm_messages(request.messages, said, answers, longest=limits.text_chars))
        session, *_ = await sessions.create(
            CreateSession(settings=settings, title=_title(request)),
            kind="completion",
            principal=caller.name,
        )
        try:
            for place, sound in spoken.items():
                said[place] = await self._heard(session, sound, place, caller)
            given = llm_messages(request.messages, said, answers, longest=limits.text_chars)
            asked = question(given)
            if len(asked) > (longest := limits.prompt_chars):
                asked = asked.strip()[-longest:]  # for lists and searches; the model is told `given`
            try:
                turn = await sessions.request(session, RequestTurn(prompt=asked), given=given)
            except InputError as error:
                error.field = "messages" if error.field == "prompt" else error.field
                raise
        except BaseException:
            with anyio.CancelScope(shield=True):
                await sessions.finish(session)
            raise
        return self._wanted(request, session, turn, model.id), session

    async def resume(self, request: ChatCompletionRequest, cursor: Cursor, caller: Principal) -> Wanted:
        """The answer that the client was being told. Raises CursorForeign."""
        conversation = await self._own(cursor.session, caller)
        state = next(iter(conversation.turns.values()), None)
        if state is None or state.given is None or not self._same(request, state.given):
            raise CursorForeign("this event id belongs to another request", field="Last-Event-ID")
        if cursor.seq > conversation.head:
            raise CursorForeign("this event id is of a chunk that was never sent", field="Last-Event-ID")
        return self._wanted(request, cursor.session, state.turn, self.services.names.chat(request.model).id)

    def _same(self, request: ChatCompletionRequest, given: tuple[object, ...]) -> bool:
        """Checks the number of messages without transcribing their audio again."""
        if len(given) != len(request.messages):
            return False
        if sounds(request.messages) or any(message.audio for message in request.messages):
            return True
        longest = self.services.settings.limits.text_chars
        return llm_messages(request.messages, {}, {}, longest=longest) == given

    async def chunks(
        self, wanted: Wanted, translator: CompletionTranslator
    ) -> AsyncGenerator[tuple[Cursor, Chunk] | None, None]:
        """All of them, from the first on, each with its cursor; None: nothing came for long.

        Raises what the turn failed with.
        """
        audio = wanted.sound is not None
        log_events = self.services.turn_events(wanted.session, wanted.turn, audio=audio)
        async with aclosing(log_events) as events:
            async for recorded in events:
                if recorded is None:
                    yield None
                    continue
                made = await translator.of(recorded)
                for number, chunk in enumerate(made):
                    last = number == len(made) - 1
                    yield Cursor(wanted.session, recorded.seq, None if last else number), chunk
        if not translator.over:
            raise EngineFailed("the session of this answer was ended before it was whole")

    def _wanted(self, request: ChatCompletionRequest, session: SessionId, turn: TurnId, model: str) -> Wanted:
        requested = None if request.audio is None else request.audio.format
        return Wanted(
            session=session,
            turn=turn,
            created=created_ms(session) // 1_000,
            model=model,
            answered=self.services.names.answered,
            sound="pcm" if requested == "pcm16" else requested,
            usage=request.wants_usage,
            form="response_format" if request.response_format else "tools",
        )

    async def _own(self, session: SessionId, caller: Principal) -> Conversation:
        whose = await self.services.ownership.of(session)
        if whose is None or not caller.commands(whose):
            raise SessionNotFound("this event id is not known here", field="Last-Event-ID")
        conversation, _ = await self.services.sessions.view(session)
        if conversation.kind != "completion":
            raise CursorForeign("this event id is of something else", field="Last-Event-ID")
        return conversation

    async def _answers(self, request: ChatCompletionRequest, caller: Principal) -> Mapping[str, str]:
        """The text of earlier answers that were spoken, by the id that the client was told."""
        found = {}
        for number, message in enumerate(request.messages):
            if message.audio is not None:
                try:
                    found[message.audio.id] = await self._answer(message.audio.id, caller)
                except RhapsodeError as error:
                    field = f"messages[{number}].audio.id"
                    raise InputError("there is no spoken answer of this id", field=field) from error
        return found

    async def _answer(self, name: str, caller: Principal) -> str:
        place, _, turn = name.removeprefix("audio_").rpartition("_")
        session = parse_session_id(place)
        if session is None or not is_digits(turn):
            raise InputError("this is no id of ours")
        conversation = await self._own(session, caller)
        state = conversation.turns.get(TurnId(int(turn)))
        if state is None:
            raise InputError("there is no such answer")
        return str(state.answer)

    async def _heard(self, session: SessionId, sound: bytes, place: Place, caller: Principal) -> str:
        """Transcribes a recording, which becomes part of the completion's session."""
        field = f"messages[{place[0]}].content[{place[1]}].input_audio.data"
        try:
            with self.services.arriving.file(caller.name) as arrival:
                arrival.grow(len(sound))
                limits = self.services.settings.limits
                with await anyio.to_thread.run_sync(file_with, sound) as file:
                    async with recording_in(file, longest_s=limits.upload_s) as recording:
                        heard = await recording.listen(self.services.audio_inputs, session)
        except InputError as error:
            error.field = field
            raise
        conversation, _ = await self.services.sessions.view(session)
        texts = conversation.inputs[heard.input].texts
        return " ".join(text for _, text in sorted(texts.items()) if text)


def _title(request: ChatCompletionRequest) -> str:
    """For lists: what was asked last."""
    asked = next((m.words for m in reversed(request.messages) if m.role == "user" and m.words), "")
    return title_of(asked)


def _decoded(request: ChatCompletionRequest) -> dict[Place, bytes]:
    """The sound in the messages. Raises NotSound or InputError."""
    spoken = sounds(request.messages)
    if len(spoken) > _SPOKEN_PARTS:
        raise InputError(f"at most {_SPOKEN_PARTS} parts are spoken", field="messages")
    found = {}
    for (number, at), data in spoken.items():
        try:
            found[number, at] = base64.b64decode(data, validate=True)
        except ValueError as error:  # binascii's own, and that of text beyond ASCII
            field = f"messages[{number}].content[{at}].input_audio.data"
            raise NotSound("this is not base64", field=field) from error
    return found
