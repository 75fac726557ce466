"""Messages that a model is told for a response, and fields of the request that the log keeps."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from deployments.container import GatewayContainer
from deployments.faces.openai.request_mapping import call_name, question, settings_of
from deployments.faces.responses.response_ids import parse_item_id
from deployments.model_names import NamedModel
from pipeline.auth.principals import Principal
from pipeline.session_state.conversation_items import Item, made
from pipeline.session_state.llm_context import Turns, as_given, context_messages, text_of
from pipeline.session_state.session_views import Ownership
from schemas.errors import InputError, InputTooLong, SessionGone, SessionNotFound
from schemas.ids import Seq, SessionId
from schemas.native.client_commands import SettingsPatch
from schemas.openai.response_items import ResponseItemParam, stored_item
from schemas.openai.responses_request import ResponsesRequest
from schemas.settings.model_settings import GivenMessage


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, checked: what is recorded with its turn, and what the model is told."""

    settings: SettingsPatch
    added: tuple[dict[str, JsonValue], ...]
    given: tuple[GivenMessage, ...]
    question: str


async def owns(ownership: Ownership, caller: Principal, session: SessionId) -> bool:
    """Whether the caller may read what is in this session."""
    whose = await ownership.of(session)
    return whose is not None and (caller.commands(whose) or caller.admin)


@dataclass(frozen=True, slots=True)
class ResponseInputs:
    """Checks requests. Its methods raise InputErrors."""

    services: GatewayContainer

    async def asked(
        self,
        request: ResponsesRequest,
        model: NamedModel,
        before: Sequence[Item],
        turns: Turns,
        caller: Principal,
    ) -> Asked:
        """`before`: the items that the request goes on from; `turns`: those of their session."""
        items, added, chars = [*before], [], 0
        calls = {item.call for item in items if item.kind == "call"}
        for number, param in enumerate(request.input):
            if param.type == "reasoning":
                continue
            stored = await self._stored(param, f"input[{number}]", caller)
            if param.type == "function_call_output" and stored["call_id"] not in calls:
                raise InputError(
                    f"No tool call found for function call output with call_id {(param.call_id or '')[:80]}.",
                    field=f"input[{number}].call_id",
                )
            added.append(stored)
            items.append(made(stored, f"input_{number}", Seq(0)))
            calls.add(items[-1].call)
            chars += len(text_of(items[-1], turns))
            self._check_length(chars)  # before the next one: each reference repeats what it names
        if not added:
            raise InputError("the input holds nothing that a model can be told", field="input")
        given = self._told(request.instructions, items, turns)
        asked = question(given)
        if len(asked) > (longest := self.services.settings.limits.prompt_chars):
            asked = asked.strip()[-longest:]  # for lists and searches; the model is told `given`
        return Asked(self._settings(request, model), tuple(added), given, asked)

    def _settings(self, request: ResponsesRequest, model: NamedModel) -> SettingsPatch:
        """All of them: nothing of the previous response's settings counts."""
        if request.temperature is None:
            usual = self.services.sessions.choices.defaults.temperature
            request = request.model_copy(update={"temperature": usual})
        return settings_of(request, model, None, self.services.settings.openai)

    def _told(
        self, instructions: str | None, items: Sequence[Item], turns: Turns
    ) -> tuple[GivenMessage, ...]:
        system = [GivenMessage(role="system", content=instructions)] if instructions else []
        messages = context_messages(items, turns, room=sys.maxsize)
        given = (*system, *map(as_given, messages))
        self._check_length(
            sum(len(one.content) for one in given) + sum(len(item.arguments) for item in items)
        )
        return given

    def _check_length(self, chars: int) -> None:
        if chars > (longest := self.services.settings.limits.text_chars):
            raise InputTooLong(
                f"the input has {chars} characters; at most {longest} are taken", field="input"
            )

    async def _stored(self, param: ResponseItemParam, field: str, caller: Principal) -> dict[str, JsonValue]:
        if param.type != "item_reference":
            return stored_item(param, call_name(param.call_id or ""))
        missing = InputError(f"Item with id '{(param.id or '')[:80]}' not found.", field=f"{field}.id")
        place = parse_item_id(param.id or "")
        if place is None or not await owns(self.services.ownership, caller, place[0]):
            raise missing
        try:
            conversation, _ = await self.services.sessions.view(place[0])
        except (SessionGone, SessionNotFound) as error:
            raise missing from error
        item = conversation.items.known.get(conversation.items.item_id(place[1]))
        if item is None or item.id not in conversation.items.order:
            raise missing
        asked = conversation.items.asked.get(item.turn)
        if asked is not None and asked.inputs and not asked.stored:
            raise missing
        return item_object(item, conversation.turns)


def item_object(item: Item, turns: Turns) -> dict[str, JsonValue]:
    """An item of a session as a client would have written it."""
    if item.kind == "call":
        return {
            **{"type": "function_call", "call_id": item.call},
            **{"name": item.name, "arguments": item.arguments},
        }
    if item.kind == "result":
        return {"type": "function_call_output", "call_id": item.call, "output": item.output}
    text = text_of(item, turns)
    written = item.role == "assistant"
    part: JsonValue = (
        {"type": "output_text", "text": text, "annotations": []}
        if written
        else {"type": "input_text", "text": text}
    )
    return {"type": "message", "role": item.role, "content": [part]}


def config_of_request(request: ResponsesRequest, asked: Asked, model: NamedModel) -> dict[str, Any]:
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
