"""A chat completion as a turn of ours: its settings, and all that the model is told."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from deployments.model_names import NamedModel
from schemas.errors import InputError, InputTooLong
from schemas.native.client_commands import SettingsPatch
from schemas.openai.chat_messages import ChatCompletionMessage
from schemas.openai.chat_request import ChatCompletionRequest, ToolOffer
from schemas.openai.responses_request import ResponsesRequest, ResponseTool
from schemas.settings.model_settings import FunctionCall, GivenMessage
from schemas.settings.openai_settings import OpenAiSettings

_MOST_TOKENS: Final = 4_096
"""As many as a session may have."""
_TITLE_CHARS: Final = 80
_LEAST_TOP_P: Final = 1e-6
"""OpenAI allows zero, which means the likeliest word alone."""

_CALL: Final = re.compile(r"[\x21-\x7e]{1,64}")
"""Ids of calls as the log holds them."""

Place = tuple[int, int]
"""Number of a message, and of its part."""


def settings_of(
    request: ChatCompletionRequest | ResponsesRequest,
    model: NamedModel,
    voice: str | None,
    settings: OpenAiSettings,
) -> SettingsPatch:
    """Returns the settings that the request's answer is made with. Raises InputError."""
    params: dict[str, Any] = {
        "speak": voice is not None,
        "llm_provider": model.provider,
        "llm_model": model.model,
        "max_tokens": min(request.limit or settings.max_tokens, _MOST_TOKENS),
        "sampling": _sampling(request),
        "tools": _tools(request),
        "character": None,
        "collections": list(request.rhapsode.collections) if request.rhapsode else [],
        "tts_provider": None,
        # A spoken question is only transcribed: the question is asked with all the others.
        "listening": {
            **{"mode": "quality", "reply": False, "compare": False, "provider": None, "partials_ms": 0},
            **{"language": "auto", "turn_detection": "vad", "prompt": ""},
        },
    }
    if request.temperature is not None:
        params["temperature"] = request.temperature
    if voice is not None:
        params["voice"] = voice
    if request.rhapsode and request.rhapsode.search:
        params["search"] = request.rhapsode.search.model_dump(exclude_unset=True)
    return patch_of(params, {"sampling": "response_format"})


def title_of(text: str) -> str:
    """Of a session, for lists."""
    return " ".join(text[:_TITLE_CHARS].split())


def patch_of(params: Mapping[str, Any], fields: Mapping[str, str]) -> SettingsPatch:
    """Raises InputError about the field that a wish came from."""
    try:
        return SettingsPatch.model_validate(params)
    except ValidationError as error:
        first = error.errors(include_context=False)[0]
        said = str(first["msg"]).removeprefix("Value error, ")
        field = fields.get(str(first["loc"][0]), str(first["loc"][0]))
        raise InputError(f"{field}: {said}", field=field) from error


def _sampling(request: ChatCompletionRequest | ResponsesRequest) -> dict[str, Any]:
    """All of it: what the request leaves out is as the engine likes."""
    return {
        "top_p": None if request.top_p is None else max(request.top_p, _LEAST_TOP_P),
        "seed": request.seed,
        "stop": list(request.stop),
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
        "json_schema": request.response_format.held_to if request.response_format else None,
    }


def _tools(request: ChatCompletionRequest | ResponsesRequest) -> dict[str, Any]:
    choice = request.tool_choice
    return {
        "registered": [],
        "functions": [_offer(tool) for tool in request.tools or ()],
        "choice": choice if isinstance(choice, str) else f"function:{_chosen(request)}" if choice else "auto",
        "parallel": request.parallel_tool_calls is not False,
    }


def _chosen(request: ChatCompletionRequest | ResponsesRequest) -> str:
    assert request.tool_choice is not None
    assert not isinstance(request.tool_choice, str)
    name = request.tool_choice.function.name
    if name not in {tool.function.name for tool in request.tools or ()}:
        raise InputError(f"tool_choice names {name!r}, which is not among the tools", field="tool_choice")
    return name


def _offer(tool: ToolOffer | ResponseTool) -> dict[str, Any]:
    function = tool.function
    return {
        "name": function.name,
        "description": function.description or "",
        "parameters": function.parameters or {},
    }


def sounds(messages: Sequence[ChatCompletionMessage]) -> dict[Place, bytes | str]:
    """The base64 of every part that was spoken."""
    return {
        (number, at): part.input_audio.data
        for number, message in enumerate(messages)
        for at, part in enumerate(message.content or ())
        if part.input_audio is not None
    }


def llm_messages(
    messages: Sequence[ChatCompletionMessage],
    said: Mapping[Place, str],
    answers: Mapping[str, str],
    *,
    longest: int,
) -> tuple[GivenMessage, ...]:
    """All messages in our shape.

    `said`: what the spoken parts say. `answers`: the text of earlier answers that were spoken, by their id.
    Raises InputError or InputTooLong.
    """
    known: set[str] = set()
    given = []
    for number, message in enumerate(messages):
        calls = message.tool_calls or ()
        if message.role == "tool" and message.tool_call_id not in known:
            raise InputError(
                f"messages[{number}] answers a call that no message before it made",
                field=f"messages[{number}].tool_call_id",
            )
        known |= {call.id for call in calls}
        given.append(
            GivenMessage(
                role="system" if message.role == "developer" else message.role,
                content=_words(number, message, said, answers),
                calls=tuple(
                    FunctionCall(
                        call=call_name(call.id), name=call.function.name, arguments=call.function.arguments
                    )
                    for call in calls
                ),
                call=call_name(message.tool_call_id)
                if message.tool_call_id and message.role == "tool"
                else None,
            )
        )
    if (length := sum(len(one.content) for one in given)) > longest:
        raise InputTooLong(
            f"the messages have {length} characters; at most {longest} are taken", field="messages"
        )
    return tuple(given)


def call_name(name: str) -> str:
    """A call's id as the log holds it: the same for its result."""
    if _CALL.fullmatch(name):
        return name
    return f"call_{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:32]}"


def _words(
    number: int, message: ChatCompletionMessage, said: Mapping[Place, str], answers: Mapping[str, str]
) -> str:
    parts = [
        said[number, at] if part.input_audio is not None else part.words
        for at, part in enumerate(message.content or ())
    ]
    if not any(parts) and message.audio is not None:
        return answers[message.audio.id]
    return "\n".join(filter(None, parts)) or message.refusal or ""


def question(given: Sequence[GivenMessage]) -> str:
    """Returns the last question. Raises InputError without any."""
    asked = [one.content for one in given if one.role == "user" and one.content.strip()]
    others = [one.content for one in given if one.content.strip()]
    if not others:
        raise InputError("no message says anything", field="messages")
    return (asked or others)[-1]
