"""The conversations face, both ways: everybody in a thread asks on this socket, and hears all answers."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final, get_args

from fastapi import APIRouter, WebSocket

from deployments.container import GatewayContainer
from deployments.faces.conversations.conversation_routes import fresh, whole
from deployments.faces.conversations.json_socket import JsonSocket, SpokenMessage, talking
from deployments.faces.conversations.thread_routes import known_thread
from deployments.faces.conversations.turn_translator import (
    EventPosition,
    TurnMessages,
    event_id,
    parse_event_id,
)
from deployments.web.resource_access import AccessRecheck, Caller, still_allowed
from pipeline.auth.principals import Principal
from pipeline.delivery.listener import Listening
from pipeline.eventlog.event_log import Head
from pipeline.session_state.conversation import Conversation
from schemas.apps.conversation_messages import AudioParam, SocketCommand, SocketControl, SocketMessage
from schemas.errors import CursorAhead, InputError
from schemas.events import TERMINAL
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, TurnId
from schemas.native.client_commands import Control

router = APIRouter()
_LONGEST: Final = 200_000
"""Characters of one message from a client, with what surrounds the question."""


@router.websocket("/v1/threads/{thread_id}/stream")
async def thread_stream(
    websocket: WebSocket, thread_id: str, caller: Caller, after: str = "", audio: str = "none"
) -> None:
    """Questions of everybody and their answers, from now on, or after the message with the id `after`.

    `audio`: each spoken sentence in this format as well.
    """
    services: GatewayContainer = websocket.app.state.services
    talk = _Talk(services, caller, thread_id)

    spoken: SpokenMessage[Any] = SpokenMessage(SocketCommand, talk.execute, longest=_LONGEST)  # type: ignore[arg-type]
    async with talking(websocket, spoken) as socket:
        talk.socket = socket
        thread, conversation, _ = await known_thread(services, caller, thread_id, to_read=True)
        begin, title = _begin(after, conversation), conversation.title
        del conversation  # else the connection would keep it in memory
        params = _audio(audio)
        talk.thread, talk.audio = thread, params
        await socket.send({"type": "connected", "threadId": thread_id, "title": title})
        async with aclosing(_thread_messages(services, caller, thread, begin, params)) as messages:
            async for message in messages:
                await socket.send(message)
        await socket.close()


def _audio(text: str) -> AudioParam:
    """Raises InputError."""
    for known in get_args(AudioParam):
        if text == known:
            return known  # type: ignore[no-any-return]
    raise InputError(f"audio is one of {', '.join(get_args(AudioParam))}", field="audio")


def _begin(after: str, conversation: Conversation) -> EventPosition:
    """Raises InputError or CursorAhead."""
    if not after:
        return EventPosition(conversation.head)
    try:
        _, place = parse_event_id(after)
    except InputError as error:
        raise InputError(str(error), field="after") from error
    if place.seq > conversation.head:
        raise CursorAhead("there is no such message yet", field="after")
    return place


class _Talk:
    """Commands of one client."""

    def __init__(self, services: GatewayContainer, caller: Principal, name: str) -> None:
        self._services = services
        self._caller = caller
        self._name = name
        self.thread: SessionId | None = None
        self.audio: AudioParam = "none"
        """Output that this client listens to: the default of its messages."""
        self.socket: JsonSocket | None = None

    async def execute(self, command: SocketCommand) -> None:
        """Raises what the command is refused with."""
        await still_allowed(self._services, self._caller)
        thread, _, seen = await known_thread(self._services, self._caller, self._name)
        if isinstance(command, SocketMessage):
            by = self._caller.name or command.user
            if "audio" not in command.model_fields_set:
                command = command.model_copy(update={"audio": self.audio})
            turn = await self._services.threads.ask(thread, command, by=by, seen=seen)
            assert self.socket is not None
            await self.socket.send({"type": "accepted", "turn": turn, "ref": command.ref})
            return
        await self._control(thread, command, seen)

    async def _control(self, thread: SessionId, command: SocketControl, seen: Head) -> None:
        if command.type == "ping":
            return  # answered where it came in
        sentence = command.sentence if command.type == "skip" else None
        control = Control(action=command.type, sentence=sentence)
        await self._services.sessions.control(thread, control, seen, by=self._caller.name)


async def _thread_messages(
    services: GatewayContainer, caller: Principal, thread: SessionId, begin: EventPosition, audio: AudioParam
) -> AsyncGenerator[dict[str, Any], None]:
    """Every message after `begin`, until the thread ends."""
    conversation, head = await services.sessions.attend(thread)
    limits = services.settings.limits
    running = [t.turn for t in conversation.turns.values() if t.ended_at is None or t.ended_at > begin.seq]
    start = Seq(min([turn - 1 for turn in running if turn <= begin.seq], default=begin.seq))
    del conversation
    params = Listening(
        after=start, audio=audio != "none", buffer=limits.listener_buffer, idle_s=limits.heartbeat_s
    )
    thread_messages = _ThreadMessages(services, caller, thread)
    listener = services.listener()
    access_recheck = AccessRecheck(services, caller, thread)
    async with aclosing(listener.listen(thread, head, params)) as batches:
        async for batch in batches:
            await access_recheck.check(batch)
            if not batch:
                log = services.tailer.state(thread)
                yield {"type": "heartbeat", "threadId": thread, "log": log}
            for recorded in batch:
                if recorded.type in TERMINAL:  # whose message has the whole answer
                    await services.tailer.others_first()
                async with aclosing(thread_messages.take(recorded, begin, audio)) as messages:
                    async for message in messages:
                        yield message


class _ThreadMessages:
    """Folds the thread's events into messages, several turns side by side."""

    def __init__(self, services: GatewayContainer, caller: Principal, thread: SessionId) -> None:
        self._services = services
        self._caller = caller
        self._thread = thread
        self._turns: dict[TurnId, TurnMessages] = {}

    async def take(
        self, recorded: Recorded, begin: EventPosition, audio: AudioParam
    ) -> AsyncGenerator[dict[str, Any], None]:
        if recorded.type == "turn.requested":
            message = self._asked(recorded)
            if EventPosition(recorded.seq) > begin and not recorded.data.get("continues"):
                yield message
        elif recorded.type in ("playback.paused", "playback.resumed") and EventPosition(recorded.seq) > begin:
            state = recorded.type.partition(".")[2]
            yield {"type": state, "threadId": self._thread}
        elif (turn := self._turns.get(recorded.turn)) is not None:
            for one in turn.take(recorded):
                if one.place > begin and (audio != "none" or not one.sound):
                    about = {"turn": recorded.turn, "id": event_id(recorded.turn, one.place)}
                    yield {**await whole(self._services, self._caller, one, audio), **about}
            if turn.over:
                del self._turns[recorded.turn]

    def _asked(self, recorded: Recorded) -> dict[str, Any]:
        conversation, turn = Conversation(), TurnId(recorded.seq)
        conversation.apply(recorded)
        state = conversation.turns[turn]
        self._turns[turn] = TurnMessages(
            self._thread, fresh(state), self._services.settings.streaming.chunk_size
        )
        return {
            "type": "message",
            "role": "user",
            "content": state.question,
            "user": state.by,
            "turn": turn,
            "id": event_id(turn, EventPosition(recorded.seq)),
            "threadId": self._thread,
        }
