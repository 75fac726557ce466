"""Chats of the AI SDK as sessions: asked in, found again, stopped. Knows no chat that is not in the log."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

from pydantic import JsonValue

from deployments.faces.openai.request_mapping import call_name
from deployments.faces.ui.ui_messages import BEGAN, beginning, items_of, message_id, messages_of, turn_named
from deployments.faces.ui.ui_translator import Part
from deployments.web.resource_access import may_command, refuse_affairs
from pipeline.apps.threads import Threads
from pipeline.auth.principals import Principal
from pipeline.core.texts import joined
from pipeline.eventlog.recorder import RequestContext
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.conversation_items import made
from pipeline.session_state.llm_context import as_given, context_messages, counting_items, room_for
from pipeline.sessions.session_commands import Sessions
from schemas.bounds import too_deep
from schemas.errors import (
    InputError,
    InputTooLong,
    NothingToControl,
    RhapsodeError,
    SessionGone,
    SessionNotFound,
)
from schemas.errors.access_errors import Forbidden
from schemas.events import Event, ItemAdded, ItemRemoved, ResponseAsked, TurnStopRequested
from schemas.ids import NO_TURN, Seq, SessionId, TurnId, parse_session_id
from schemas.native.client_commands import Control, RequestTurn, SettingsPatch
from schemas.settings import AppSettings, SessionSettings
from schemas.settings.model_settings import OUTPUT_CHARS, GivenMessage
from schemas.ui.ui_chat_request import UiChatRequest, UiMessage, UiPart

_PARTS: Final = {"user": "input_text", "system": "input_text", "assistant": "output_text"}


class UiAnswer(NamedTuple):
    """A message of the assistant: the turns that it consists of, the last one to be listened to."""

    session: SessionId
    turns: tuple[TurnId, ...]
    message: str


@dataclass(frozen=True, slots=True)
class UiChats:
    """Requests of the face. Its methods raise RhapsodeErrors whose fields are the request's."""

    sessions: Sessions
    threads: Threads
    settings: AppSettings

    async def find(self, chat: str, caller: Principal) -> tuple[SessionId, Conversation] | None:
        """The session of this id, or the thread that the caller has under this name; None: there is none."""
        session = parse_session_id(chat)
        if session is not None:
            with suppress(SessionNotFound, SessionGone):
                conversation, _ = await self.sessions.view(session)
                if may_command(caller, conversation):
                    refuse_affairs(conversation)
                    return session, conversation
        return await self.threads.find(chat, caller.name)

    async def ask(self, request: UiChatRequest, caller: Principal, *, speak: bool) -> UiAnswer:
        """Asks for the answer to the request's last message. The same message is asked once."""
        found = await self.find(request.id, caller)
        patch = request.settings.model_copy(update={"speak": speak})
        *before, last = request.known
        try:
            if found is None:  # there is none when the question is refused
                if last.role == "assistant":
                    raise _no_outputs()
                self._brought(before)
                first = RequestTurn(prompt=_question(last), settings=patch)
                thread, _ = await self.threads.chat(request.id, caller.name, first)
                found = thread, (await self.sessions.view(thread))[0]
            session, conversation = found
            if last.role == "assistant":
                return await self._go_on(session, conversation, last, patch, caller)
            return await self._ask(session, conversation, request, patch, caller)
        except InputError as error:
            error.field = "messages" if error.field == "prompt" else error.field
            raise

    async def _ask(
        self,
        session: SessionId,
        conversation: Conversation,
        request: UiChatRequest,
        patch: SettingsPatch,
        caller: Principal,
    ) -> UiAnswer:
        *before, last = request.known
        prompt = _question(last)
        gone = _gone(conversation, request, session)
        brings = bool(before) and not conversation.turns and not conversation.items.order
        if gone or brings:
            _check_owner(caller, conversation)
        events: list[Event | RequestContext] = [
            RequestContext(turn, TurnStopRequested()) for turn in gone if not conversation.turns[turn].over
        ]
        events += [ItemRemoved(item=name) for name in items_of(conversation, gone)]
        if brings:
            events += self._brought(before)
        key = None
        if last.id and request.trigger == "submit-message":
            said = "\0".join((last.id, request.message_id or "", prompt, str(min(gone, default=0))))
            key = f"ui-{hashlib.sha256(said.encode()).hexdigest()[:40]}"
        command = RequestTurn(prompt=prompt, settings=patch, key=key)
        turn = await self.sessions.request(session, command, by=caller.name, before=events)
        if not conversation.title:
            with suppress(RhapsodeError):  # the question is asked, with a title or without
                await self.threads.name(session, prompt)
        return UiAnswer(session, (turn,), message_id(session, turn))

    def _brought(self, messages: Sequence[UiMessage]) -> list[Event]:
        """The messages that a page knows of a conversation which is not here (any more)."""
        told = [message for message in messages if message.words]
        chars, longest = sum(len(message.words) for message in told), self.settings.limits.text_chars
        if chars > longest:
            raise InputTooLong(
                f"the messages have {chars} characters; at most {longest} are taken", field="messages"
            )
        return [ItemAdded(item=_item(message)) for message in told]

    async def _go_on(
        self,
        session: SessionId,
        conversation: Conversation,
        last: UiMessage,
        patch: SettingsPatch,
        caller: Principal,
    ) -> UiAnswer:
        """Lets the model go on with the outputs of the calls that the page has made."""
        items = conversation.items
        answered = {item.call for item in items.known.values() if item.kind == "result"}
        # Calls that a client wrote into the session are no turn's: nothing goes on after them.
        waiting = {call for call, name in items.calls.items() if items.known[name].turn} - answered
        called = {call_name(part.tool_call_id): part for part in last.parts if part.called}
        outputs = [_output(part) for call, part in called.items() if call in waiting]
        if not outputs:
            turn = _gone_on(conversation, called)
            return UiAnswer(session, (turn,), message_id(session, beginning(conversation, turn)))
        asked = conversation.turns[items.known[items.calls[str(outputs[-1]["call_id"])]].turn]
        given = self._given(outputs, conversation, patch.apply(conversation.settings))
        if asked.by != caller.name:
            _check_owner(caller, conversation)
        events: list[Event | RequestContext] = [ItemAdded(item=one) for one in outputs]
        began = beginning(conversation, asked.turn)
        events.append(ResponseAsked(metadata={BEGAN: str(began)}, config={}))
        said = json.dumps(outputs, sort_keys=True)
        key = f"ui-{hashlib.sha256(said.encode()).hexdigest()[:40]}"
        command = RequestTurn(prompt=asked.text, settings=patch, key=key)
        turn = await self.sessions.request(session, command, given=given, by=caller.name, before=events)
        return UiAnswer(session, (turn,), message_id(session, began))

    def _given(
        self, outputs: list[dict[str, JsonValue]], conversation: Conversation, settings: SessionSettings
    ) -> tuple[GivenMessage, ...]:
        """Returns what the session has, without turns that others replaced, and these outputs of calls."""
        items = counting_items(conversation)
        items += [made(one, f"output_{number}", Seq(0)) for number, one in enumerate(outputs)]
        room, told = room_for(settings, self.settings.language_model.windows), settings.system_prompt
        messages = context_messages(items, conversation.turns, room=room)
        system = [GivenMessage(role="system", content=told)] if told else []
        return (*system, *map(as_given, messages))

    async def _stop(self, session: SessionId, turn: TurnId) -> None:
        with suppress(NothingToControl):  # it is over
            await self.sessions.control(session, Control(action="stop", turn=turn))

    async def stop(self, chat: str, caller: Principal) -> None:
        """Stops all answers of the chat that are being made or wait. Raises SessionNotFound."""
        session, conversation = await self._known(chat, caller)
        for turn in conversation.unfinished:
            await self._stop(session, turn.turn)

    async def _known(self, chat: str, caller: Principal) -> tuple[SessionId, Conversation]:
        found = await self.find(chat, caller)
        if found is None:
            raise SessionNotFound(f"there is no chat {chat}", field="chat_id")
        return found

    async def active(self, chat: str, caller: Principal) -> UiAnswer | None:
        """The answer that is being made, from its message's beginning on; None: none is."""
        found = await self.find(chat, caller)
        if found is None or not (waiting := found[1].unfinished):
            return None
        session, conversation = found
        began = beginning(conversation, waiting[-1].turn)
        turns = tuple(turn for turn in conversation.turns if beginning(conversation, turn) == began)
        return UiAnswer(session, turns, message_id(session, began))

    async def messages(self, chat: str, caller: Principal) -> tuple[Iterator[Part], Conversation]:
        """The chat, and its `UIMessage`s without an answer that is being made. Raises SessionNotFound."""
        session, conversation = await self._known(chat, caller)
        return messages_of(session, conversation), conversation


def _check_owner(caller: Principal, conversation: Conversation) -> None:
    """Members of a thread ask; what was said in it is changed by its owner. Raises Forbidden."""
    if not caller.commands(conversation.principal):
        raise Forbidden("only who made this chat may change what was said in it", field="messages")


def _gone_on(conversation: Conversation, called: Mapping[str, UiPart]) -> TurnId:
    """The turn that went on with these outputs when they were sent before. Raises InputError."""
    known = conversation.items.known.values()
    results = [item for item in known if item.kind == "result" and item.call in called]
    last = max(results, key=lambda item: item.seq, default=None)
    if last is None or _text(called[last.call]) != last.output:
        raise _no_outputs()
    turn = next((turn for turn in conversation.turns if turn > last.seq), None)
    if turn is None or beginning(conversation, turn) == turn:
        raise _no_outputs()
    return turn


def _no_outputs() -> InputError:
    return InputError(
        "the last message is the assistant's, and has no output of a call that waits for one",
        field="messages",
    )


def _question(message: UiMessage) -> str:
    """Raises InputError for what is no question, and for files, which are not taken."""
    if message.role != "user":
        raise InputError("the last message is neither the user's nor the assistant's", field="messages")
    if any(part.type == "file" for part in message.parts):
        raise InputError("files in messages are not taken; send text", field="messages")
    if not message.words:
        raise InputError("the last message says nothing", field="messages")
    return message.words


def _gone(conversation: Conversation, request: UiChatRequest, session: SessionId) -> list[TurnId]:
    """Turns that leave the conversation: those behind the place where the page asks anew."""
    if request.trigger == "submit-message" and request.message_id is None:
        return []
    answers = [message for message in request.known if message.role == "assistant"]
    kept = max((turn_named(session, message.id) or NO_TURN for message in answers), default=NO_TURN)
    anew = turn_named(session, request.message_id or "")
    if anew is not None:
        kept = TurnId(anew - 1)
    elif request.trigger == "regenerate-message" and request.message_id is None and not answers:
        last = max(conversation.turns, default=NO_TURN)
        kept = TurnId(beginning(conversation, last) - 1) if last else NO_TURN
    return [turn for turn in conversation.turns if beginning(conversation, turn) > kept]


def _item(message: UiMessage) -> dict[str, JsonValue]:
    part: JsonValue = {"type": _PARTS[message.role], "text": message.words}
    return {"type": "message", "role": message.role, "content": [part]}


def _text(part: UiPart) -> str:
    """Raises InputError."""
    if too_deep(part.output):
        raise InputError(f"the output of {part.tool_call_id[:64]} is nested too deep", field="messages")
    said = part.output if isinstance(part.output, str) else json.dumps(part.output, ensure_ascii=False)
    return joined(f"error: {part.error_text}" if part.error_text else said)


def _output(part: UiPart) -> dict[str, JsonValue]:
    """Raises InputTooLong, or InputError."""
    text, call = _text(part), part.tool_call_id
    if len(text) > OUTPUT_CHARS:
        raise InputTooLong(
            f"the output of {call[:64]} has {len(text)} characters; at most {OUTPUT_CHARS} are taken",
            field="messages",
        )
    return {"type": "function_call_output", "call_id": call_name(call), "output": text}
