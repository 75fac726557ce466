"""Wrong events: each is answered with an error that names it, and the conversation goes on."""

import base64
import json
import random
from contextlib import suppress
from string import ascii_lowercase
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.errors.realtime_errors import RealtimeInvalid
from schemas.realtime.client_events import CLIENT_EVENTS, client_event, session_patch
from tests.deployments.realtime.conftest import ANSWER
from tests.deployments.realtime.realtime_client import Client, client
from tests.deployments.realtime.realtime_sound import silence
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio
TEXT = [{"type": "input_text", "text": "Hello"}]
USER = {"type": "message", "role": "user", "content": TEXT}
SOUND = base64.b64encode(silence(20)).decode()
VALID: list[dict[str, Any]] = [
    {"type": "session.update", "session": {"type": "realtime", "instructions": "Be brief."}},
    {
        "type": "session.update",
        "session": {
            "type": "realtime",
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24_000},
                    "turn_detection": {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 400},
                },
                "output": {"voice": "alloy", "speed": 1.0},
            },
            "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object"}}],
            "max_output_tokens": "inf",
        },
    },
    {"type": "input_audio_buffer.append", "audio": SOUND},
    {"type": "input_audio_buffer.commit"},
    {"type": "input_audio_buffer.clear"},
    {"type": "conversation.item.create", "item": USER},
    {"type": "conversation.item.retrieve", "item_id": "item_1"},
    {"type": "conversation.item.truncate", "item_id": "item_1", "content_index": 0, "audio_end_ms": 10},
    {"type": "conversation.item.delete", "item_id": "item_1"},
    {"type": "response.create", "response": {"instructions": "Be brief.", "output_modalities": ["text"]}},
    {"type": "response.cancel"},
]


HANGS = {
    "type": "function",
    "name": "f",
    "parameters": {"type": "string", "allOf": [{"pattern": f".*{sign}.*"} for sign in ascii_lowercase]},
}
"""llguidance would compile its arguments for minutes."""
MANY = 3_000
FIELDS = {f"field_{number}": 1 for number in range(MANY)}
FLOODS: list[dict[str, Any]] = [
    {"type": "conversation.item.create", "item": USER | {"content": [1] * MANY}},
    {"type": "conversation.item.create", "item": USER | FIELDS},
    {"type": "response.create", "response": {"input": [1] * MANY}},
    {"type": "response.create", "response": {"metadata": FIELDS}},
    {"type": "response.create", "response": {"tools": [1] * MANY}},
    {"type": "response.create", "response": {"output_modalities": [1] * MANY}},
    {"type": "input_audio_buffer.commit"} | FIELDS,
]


@pytest.mark.parametrize("event", FLOODS)
def test_of_many_wrong_values_few_are_complained_of(event: dict[str, Any]) -> None:
    with pytest.raises(RealtimeInvalid) as refused:
        client_event(event)
    assert isinstance(refused.value.__cause__, ValidationError)
    assert refused.value.__cause__.error_count() < 4


def test_an_event_with_too_many_values_is_refused_before_they_are_looked_at() -> None:
    with pytest.raises(RealtimeInvalid) as refused:
        client_event({"type": "session.update", "session": {"tools": [[1] * 100] * 1_000}})
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ({"type": "session.explode"}, "invalid_value", "type"),
        ({}, "missing_required_parameter", "type"),
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "%%%"}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.append", "audio": 7}, "invalid_type", "audio"),
        ({"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty", None),
        ({"type": "output_audio_buffer.clear"}, "unsupported_value", "type"),
        ({"type": "conversation.item.retrieve", "item_id": "x"}, "item_retrieve_invalid_item_id", "item_id"),
        ({"type": "conversation.item.delete", "item_id": "x"}, "item_delete_invalid_item_id", "item_id"),
        (
            {
                "type": "conversation.item.truncate",
                "item_id": "x",
                "content_index": 0,
                "audio_end_ms": 1,
            },
            "item_truncate_invalid_item_id",
            "item_id",
        ),
        ({"type": "response.cancel"}, "response_cancel_not_active", None),
        ({"type": "response.cancel", "response_id": "resp_x_7"}, "response_cancel_not_active", None),
        (
            {"type": "conversation.item.create", "item": USER, "previous_item_id": "x"},
            "item_not_found",
            "previous_item_id",
        ),
        (
            {"type": "response.create", "response": {"input": [{"type": "item_reference", "id": "x"}]}},
            "item_not_found",
            "response.input[0].id",
        ),
        (
            {"type": "session.update", "session": {"tools": [HANGS], "tool_choice": "required"}},
            "invalid_json_schema",
            "session.tools[0].parameters",
        ),
        (
            {"type": "response.create", "response": {"tools": [HANGS], "tool_choice": "required"}},
            "invalid_json_schema",
            "response.tools[0].parameters",
        ),
        ({"type": "session.update", "session": {"mood": 1}}, "unknown_parameter", "session.mood"),
        (
            {"type": "session.update", "session": {"audio": {"output": {"voice": "nobody"}}}},
            "invalid_value",
            "session.audio.output.voice",
        ),
    ],
)
async def test_a_wrong_event_is_answered_with_its_error(
    app: RunningApp, event: dict[str, Any], code: str, param: str | None
) -> None:
    async with client(app) as caller:
        await caller.raw(json.dumps({**event, "event_id": "mine"}))
        told = (await caller.event("error"))["error"]
        assert (told["code"], told["param"], told["event_id"]) == (code, param, "mine")
        assert told["type"] == "invalid_request_error"
        assert told["message"]
        await _still_well(caller)


async def _still_well(caller: Client) -> None:
    await caller.update(output_modalities=["text"])
    await caller.say("Who comes by?")
    assert (await caller.respond())["response"]["status"] == "completed"
    assert caller.said().endswith(ANSWER)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "[]",
        "7",
        b"\x00\x01",
        '{"type": "session.update", "session": ' + "[" * 500 + "]" * 500 + "}",
        '{"type": "session.update", "session": {"tracing": ' + '{"a":' * 200 + "1" + "}" * 200 + "}}",
        '{"type": "\ud800"}'.encode("utf-8", "surrogatepass").decode("latin-1"),
        json.dumps({"type": "input_audio_buffer.append", "audio": "A" * (15 * 1024 * 1024 + 4_000)}),
        json.dumps({"type": "conversation.item.create", "item": {"x": "A" * 3_000_000}}),
        json.dumps({"type": "response.cancel", "response_id": "resp_" + "9" * 100}),
        json.dumps({"type": "response.cancel", "response_id": "²"}),
    ],
    ids=range(12),
)
async def test_a_message_that_is_no_event_is_answered_too(app: RunningApp, message: str | bytes) -> None:
    async with client(app) as caller:
        await caller.raw(message)
        assert (await caller.event("error"))["error"]["message"]
        await _still_well(caller)


async def test_the_largest_piece_of_sound_is_taken(app: RunningApp) -> None:
    async with client(app) as caller:
        await caller.update(audio={"input": {"turn_detection": None}})
        audio = base64.b64encode(bytes(15 * 1024 * 1024 // 4 * 3)).decode()
        assert len(audio) == 15 * 1024 * 1024
        await caller.send("input_audio_buffer.append", audio=audio)
        await caller.send("input_audio_buffer.commit")
        await caller.event("input_audio_buffer.committed")
        assert caller.told("error") == []


async def test_a_second_response_at_a_time_is_refused(app: RunningApp) -> None:
    async with client(app) as caller:
        await caller.say("for ever")
        await caller.send("response.create")
        created = await caller.event("response.created")
        await caller.send("response.create")
        told = (await caller.event("error"))["error"]
        assert told["code"] == "conversation_already_has_active_response"
        assert created["response"]["id"] in told["message"]
        await caller.send("response.cancel", response_id=created["response"]["id"])
        assert (await caller.event("response.done"))["response"]["status"] == "cancelled"


# ---------------------------------------------------------------- fuzz

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(
    st.dictionaries(st.text(max_size=10), json_values, max_size=4),
    st.sampled_from([*CLIENT_EVENTS, "?", ""]),
)
def test_every_message_is_an_event_or_a_complaint(rest: dict[str, Any], kind: str) -> None:
    with suppress(RealtimeInvalid):
        client_event({**rest, "type": kind})


@settings(deadline=None)
@given(json_values)
def test_every_session_object_is_a_patch_or_a_complaint(value: Any) -> None:
    patch = {"instructions": value, "tools": value, "audio": value, "tool_choice": value, "tracing": value}
    for name, wished in patch.items():
        with suppress(RealtimeInvalid):
            session_patch({name: wished})


def mutated(event: Any, chance: random.Random) -> Any:
    """The same with something in it that is not as it should be."""
    strange: list[Any] = [None, True, -1, 2**70, 1.5, "", "x" * 50, [], {}, [[]], {"type": "message"}, "\x00"]
    if isinstance(event, dict) and event and chance.random() < 0.8:
        name = chance.choice(list(event))
        match chance.randrange(4):
            case 0:
                return {key: value for key, value in event.items() if key != name}
            case 1:
                return {**event, f"{name}_": event[name]}
            case _:
                return {**event, name: mutated(event[name], chance)}
    if isinstance(event, list) and event and chance.random() < 0.8:
        return [mutated(event[0], chance), *event[1:]]
    return chance.choice(strange)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
async def test_a_flood_of_strange_events_ends_no_connection(app: RunningApp, seed: int) -> None:
    chance = random.Random(seed)
    async with client(app) as caller:
        for _ in range(40):
            event = chance.choice(VALID)
            told = event if chance.random() < 0.3 else mutated(event, chance)
            await caller.raw(json.dumps(told))
        await caller.raw(json.dumps({"type": "the.end", "event_id": "the end"}))
        await caller.until(lambda event: event["type"] == "error" and event["error"]["event_id"] == "the end")
        for event in caller.told("error"):
            assert event["error"]["type"] == "invalid_request_error", event
            assert event["error"]["code"] != "internal"
        assert caller.socket.close_code is None
