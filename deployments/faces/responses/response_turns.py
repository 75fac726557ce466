"""Responses of OpenAI's clients as turns of sessions: asked for, found again, cancelled and deleted."""

import re
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import anyio
from pydantic import JsonValue

from deployments.faces.openai.request_mapping import call_name, question, settings_of, title_of
from deployments.faces.responses.response_context import asked_of, context, deleted
from deployments.faces.responses.response_ids import ResponseId, parse_item_id, parse_response_id
from deployments.faces.responses.response_translator import ResponseTranslator, Shown
from deployments.model_names import NamedModel, Names
from pipeline.auth.principals import Principal
from pipeline.delivery.listener import Listening, SessionListener
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.conversation_items import Item, made
from pipeline.session_state.llm_context import Turns, as_given, context_messages, text_of
from pipeline.session_state.session_views import Ownership
from pipeline.sessions.session_commands import Sessions
from pipeline.transfer.forking import Forks
from schemas.errors import EngineFailed, InputError, InputTooLong, SessionGone, SessionNotFound
from schemas.errors.openai_errors import PreviousResponseNotFound, ResponseNotFound
from schemas.events import Event, ItemAdded, ResponseAsked
from schemas.ids import Seq, SessionId
from schemas.native.client_commands import CreateSession, RequestTurn, SettingsPatch
from schemas.native.transfer_answers import ForkSession
from schemas.openai.response_items import ResponseItemParam, stored_item
from schemas.openai.responses_request import ResponsesRequest
from schemas.settings import AppSettings
from schemas.settings.model_settings import GivenMessage

_FIELDS: Final = {
    "messages": "input",
    "prompt": "input",
    "response_format": "text.format",
    "settings.sampling.json_schema": "text.format.schema",
}
"""Fields of chat completions and of ours, as the request names them."""
_PARAMETERS: Final = re.compile(r"settings\.tools\.functions\.(\d+)\.parameters")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, checked: what is recorded with its turn, and what the model is told."""

    settings: SettingsPatch
    added: tuple[dict[str, JsonValue], ...]
    given: tuple[GivenMessage, ...]
    question: str


@dataclass(frozen=True, slots=True)
class ResponseTurns:
    """Requests of the face. Its methods raise RhapsodeErrors whose fields are the request's."""

    sessions: Sessions
    names: Names
    ownership: Ownership
    settings: AppSettings
    listener: SessionListener
    forks: Forks

    async def begin(self, request: ResponsesRequest, caller: Principal) -> ResponseId:
        """Asks for the response: in a session of its own, or in that of the response before it."""
        try:
            return await self._begin(request, caller)
        except InputError as error:
            if error.field is not None:
                known = _FIELDS.get(error.field, error.field)
                error.field = _PARAMETERS.sub(r"tools[\1].parameters", known)
            raise

    async def _begin(self, request: ResponsesRequest, caller: Principal) -> ResponseId:
        model = self.names.chat(request.model)
        previous = await self._previous(request, caller)
        asked = await self._asked(request, model, previous, caller)
        session = await self._session(asked, previous, caller)
        command = RequestTurn(prompt=asked.question, settings=asked.settings)
        before: tuple[Event, ...] = (
            *(ItemAdded(item=item) for item in asked.added),
            ResponseAsked(metadata=request.metadata, config=_config(request, asked, model)),
        )
        try:
            turn = await self.sessions.request(session, command, given=asked.given, before=before)
        except BaseException:
            if previous is None or session != previous[0].session:
                with anyio.CancelScope(shield=True):
                    await self.sessions.finish(session)
            raise
        return ResponseId(session, turn)

    async def _session(
        self, asked: Asked, previous: tuple[ResponseId, Conversation] | None, caller: Principal
    ) -> SessionId:
        """A new one; or the one of the previous response, forked where that is not its last turn."""
        if previous is None:
            title = title_of(asked.question)
            command = CreateSession(settings=asked.settings, title=title)
            session, *_ = await self.sessions.create(command, kind="completion", principal=caller.name)
            return session
        (session, turn), conversation = previous
        if turn == max(conversation.turns) and not conversation.ending:
            return session
        at = conversation.turns[turn].ended_at
        return (await self.forks.fork(session, ForkSession(at=at), caller.name)).session

    async def _previous(
        self, request: ResponsesRequest, caller: Principal
    ) -> tuple[ResponseId, Conversation] | None:
        if request.previous_response_id is None:
            return None
        name, field = request.previous_response_id, "previous_response_id"
        try:
            found, conversation = await self.find(name, caller)
        except ResponseNotFound as error:
            missing = f"Previous response with id '{name[:80]}' not found."
            raise PreviousResponseNotFound(missing, field=field) from error
        if not conversation.turns[found.turn].over:
            raise InputError(f"Response '{name}' is still in progress.", field=field)
        return found, conversation

    async def find(self, name: str, caller: Principal) -> tuple[ResponseId, Conversation]:
        """Raises ResponseNotFound."""
        missing = ResponseNotFound(f"Response with id '{name[:80]}' not found.", field="response_id")
        found = parse_response_id(name)
        if found is None or not await self._owns(caller, found.session):
            raise missing
        try:
            conversation, _ = await self.sessions.view(found.session)
        except (SessionGone, SessionNotFound) as error:
            raise missing from error
        asked = asked_of(conversation, found.turn)
        if asked is None or not asked.config["request"]["store"] or deleted(conversation, found.turn):
            raise missing
        return found, conversation

    async def _owns(self, caller: Principal, session: SessionId) -> bool:
        whose = await self.ownership.of(session)
        return whose is not None and (caller.commands(whose) or caller.admin)

    # ------------------------------------------------------------ what the model is told

    async def _asked(
        self,
        request: ResponsesRequest,
        model: NamedModel,
        previous: tuple[ResponseId, Conversation] | None,
        caller: Principal,
    ) -> Asked:
        items, turns = ([], {}) if previous is None else _past(*previous)
        added = []
        calls = {item.call for item in items if item.kind == "call"}
        for number, param in enumerate(request.input):
            if param.type == "reasoning":
                continue
            stored = await self._stored(param, f"input[{number}]", caller)
            if param.type == "function_call_output" and stored["call_id"] not in calls:
                raise InputError(
                    f"No tool call found for function call output with call_id {param.call_id}.",
                    field=f"input[{number}].call_id",
                )
            added.append(stored)
            items.append(made(stored, f"input_{number}", Seq(0)))
            calls.add(items[-1].call)
        if not added:
            raise InputError("the input holds nothing that a model can be told", field="input")
        given = self._told(request.instructions, items, turns)
        asked = question(given)
        if len(asked) > (longest := self.settings.limits.prompt_chars):
            asked = asked.strip()[-longest:]  # for lists and searches; the model is told `given`
        return Asked(self._settings(request, model), tuple(added), given, asked)

    def _settings(self, request: ResponsesRequest, model: NamedModel) -> SettingsPatch:
        """All of them: nothing of the previous response's settings counts."""
        if request.temperature is None:
            usual = self.sessions.choices.defaults.temperature
            request = request.model_copy(update={"temperature": usual})
        return settings_of(request, model, None, self.settings.openai)

    def _told(
        self, instructions: str | None, items: Sequence[Item], turns: Turns
    ) -> tuple[GivenMessage, ...]:
        system = [GivenMessage(role="system", content=instructions)] if instructions else []
        messages = context_messages(items, turns, room=sys.maxsize)
        given = (*system, *map(as_given, messages))
        longest = self.settings.limits.text_chars
        if (length := sum(len(one.content) for one in given)) > longest:
            raise InputTooLong(
                f"the input has {length} characters; at most {longest} are taken", field="input"
            )
        return given

    async def _stored(self, param: ResponseItemParam, field: str, caller: Principal) -> dict[str, JsonValue]:
        if param.type != "item_reference":
            return stored_item(param, call_name(param.call_id or ""))
        missing = InputError(f"Item with id '{(param.id or '')[:80]}' not found.", field=f"{field}.id")
        place = parse_item_id(param.id or "")
        if place is None or not await self._owns(caller, place[0]):
            raise missing
        try:
            conversation, _ = await self.sessions.view(place[0])
        except (SessionGone, SessionNotFound) as error:
            raise missing from error
        item = conversation.items.known.get(conversation.items.item_id(place[1]))
        if item is None or item.id not in conversation.items.order:
            raise missing
        return _copied(item, conversation.turns)

    # ------------------------------------------------------------ what is told of it

    async def translator(self, name: ResponseId) -> ResponseTranslator:
        conversation, _ = await self.sessions.view(name.session)
        asked = asked_of(conversation, name.turn)
        assert asked is not None
        return ResponseTranslator(name, asked, self.names.answered)

    async def events(
        self, translator: ResponseTranslator, *, follow: bool = True
    ) -> AsyncGenerator[Shown | None, None]:
        """All events of the response from the first on; None: nothing came for a heartbeat.

        Without `follow` they end where the log does.
        """
        session, turn = translator.id
        conversation, head = await self.sessions.attend(session)
        params = Listening(
            after=Seq(turn - 1),
            turn=turn,
            turn_ended=conversation.turns[turn].ended_at,
            follow=follow,
            idle_s=self.settings.limits.heartbeat_s,
        )
        async with aclosing(self.listener.listen(session, head, params)) as batches:
            async for batch in batches:
                if not batch:
                    yield None
                for recorded in batch:
                    for event in translator.of(recorded):
                        yield event
        if follow and not translator.over:
            raise EngineFailed("the session of this response was ended before it was whole")


def _past(previous: ResponseId, conversation: Conversation) -> tuple[list[Item], Turns]:
    outputs = [one for one in conversation.items.known.values() if one.turn == previous.turn]
    return context(conversation, previous.turn) + outputs, conversation.turns


def _copied(item: Item, turns: Turns) -> dict[str, JsonValue]:
    """An item of a session as a client would have written it."""
    if item.kind == "call":
        return {
            **{"type": "function_call", "call_id": item.call},
            **{"name": item.name, "arguments": item.arguments},
        }
    if item.kind == "result":
        return {"type": "function_call_output", "call_id": item.call, "output": item.output}
    kind = "output_text" if item.role == "assistant" else "input_text"
    content: list[JsonValue] = [{"type": kind, "text": text_of(item, turns)}]
    return {"type": "message", "role": item.role, "content": content}


def _config(request: ResponsesRequest, asked: Asked, model: NamedModel) -> dict[str, Any]:
    """Fields of the request that the log keeps: a response says those of `request` again."""
    choice = request.tool_choice
    form = request.response_format
    told = {
        "background": bool(request.background),
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": request.max_tool_calls,
        "model": model.id,
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": request.previous_response_id,
        "prompt_cache_key": request.prompt_cache_key,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": request.safety_identifier,
        "service_tier": "default",
        "store": request.stored,
        "temperature": asked.settings.temperature,
        "text": {"format": form.model_dump(by_alias=True, exclude_none=True) if form else {"type": "text"}},
        "tool_choice": choice if isinstance(choice, str) else choice.model_dump() if choice else "auto",
        "tools": [tool.model_dump() for tool in request.tools or ()],
        "top_logprobs": 0,
        "top_p": 1.0 if request.top_p is None else request.top_p,
        "truncation": request.truncation or "disabled",
        "user": request.user,
    }
    return {"object": "response", "items": len(asked.added), "request": told}
