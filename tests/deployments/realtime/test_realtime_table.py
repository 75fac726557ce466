"""The table of what is supported and what is not: every row of it is sent."""

from typing import Any, get_args

import pytest

from schemas.openai.parameter_support import Row
from schemas.realtime.client_events import CLIENT_EVENTS
from schemas.realtime.realtime_items import RealtimeModel
from schemas.realtime.realtime_session import AudioInputParams, AudioOutput, ResponseWish, SessionPatch
from schemas.realtime.realtime_table import EVENTS, QUERY, REALTIME_TABLE, RESPONSE, SECRETS, SESSION
from tests.deployments.realtime.realtime_client import Client, client
from tests.deployments.realtime.realtime_sound import silence
from tests.support.clients.access_people import client as http_client
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio
ANSWERED_BY = {
    "session.update": "session.updated",
    "input_audio_buffer.commit": "input_audio_buffer.committed",
    "input_audio_buffer.clear": "input_audio_buffer.cleared",
    "conversation.item.create": "conversation.item.done",
    "conversation.item.retrieve": "conversation.item.retrieved",
    "conversation.item.truncate": "conversation.item.truncated",
    "conversation.item.delete": "conversation.item.deleted",
    "response.create": "response.done",
    "response.cancel": "response.done",
}


def of(endpoint: str) -> Any:
    found = REALTIME_TABLE[endpoint]
    return pytest.mark.parametrize("row", found, ids=[row.field for row in found])


def filled(value: Any, **names: str) -> Any:
    """With the ids of things that are there."""
    if isinstance(value, dict):
        return {key: filled(one, **names) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one, **names) for one in value]
    named = isinstance(value, str) and (value.startswith("{") or "{session}" in value)
    return value.format(**names) if named else value


async def refused(caller: Client, row: Row, param: str) -> None:
    error = (await caller.event("error"))["error"]
    assert error["code"] == row.code
    assert error["param"].startswith(param)


@of(EVENTS)
async def test_an_event(app: RunningApp, row: Row) -> None:
    kind = row.field.partition(":")[0]
    async with client(app) as caller:
        item = (await caller.say("for ever" if kind == "response.cancel" else "Hello"))["item"]["id"]
        answer = ""
        if "{answer}" in str(row.value):
            answer = (await caller.respond())["response"]["output"][0]["id"]
        if kind == "response.cancel":
            await caller.send("response.create")
            await caller.event("response.created")
        if kind == "input_audio_buffer.commit":
            await caller.update(audio={"input": {"turn_detection": None}})
            await caller.speak(silence(200))
        event = filled(row.value, item=item, answer=answer)
        if row.standing == "refused":
            await caller.send(kind, **event)
            await refused(caller, row, "type" if kind == "output_audio_buffer.clear" else "item")
        elif kind in ANSWERED_BY:
            told = await caller.answered(kind, **event, answer=ANSWERED_BY[kind])
            assert told["type"] != "error", told
        else:
            await caller.send(kind, **event)
            await caller.update()
            assert caller.told("error") == []


def test_every_event_that_clients_know_has_a_row() -> None:
    named = {row.field.partition(":")[0] for row in REALTIME_TABLE[EVENTS]}
    assert named == set(CLIENT_EVENTS)


def session_of(row: Row) -> dict[str, Any]:
    """The session with the example at its place."""
    path = row.field.partition(":")[0].split(".")
    value = row.value
    if len(path) == 4:
        path = path[:3]  # the example is all of what it stands in
    for name in reversed(path):
        value = {name: value}
    if row.field == "tool_choice":
        return value | {"tools": [{"type": "function", "name": "weather"}]}
    found: dict[str, Any] = value
    return found


def within(session: dict[str, Any], wished: dict[str, Any]) -> bool:
    """Everything that was wished is there; a session may say more."""
    return all(
        within(session[name], value) if isinstance(value, dict) and value else session[name] == value
        for name, value in wished.items()
    )


@of(SESSION)
async def test_a_field_of_the_session(app: RunningApp, row: Row) -> None:
    wished = session_of(row)
    async with client(app) as caller:
        since = {"type": "realtime", **wished}
        told = await caller.answered("session.update", session=since, answer="session.updated")
        if row.standing == "refused":
            await refused(caller, row, "session." + row.field.partition(":")[0])
        else:
            assert told["type"] == "session.updated", told
            assert within(told["session"], {k: v for k, v in wished.items() if k != "tools"})


def fields(model: type[RealtimeModel], before: str = "") -> set[str]:
    return {f"{before}{name}" for name in model.model_fields}


def test_every_field_of_a_session_and_of_a_response_has_a_row() -> None:
    named = {row.field.partition(":")[0] for row in REALTIME_TABLE[SESSION]}
    known = fields(SessionPatch) - {"audio"}
    known |= fields(AudioInputParams, "audio.input.") | fields(AudioOutput, "audio.output.")
    assert known <= named
    assert {row.field for row in REALTIME_TABLE[RESPONSE]} == fields(ResponseWish)


@of(RESPONSE)
async def test_a_field_of_a_response(app: RunningApp, row: Row) -> None:
    async with client(app) as caller:
        item = (await caller.say("Hello"))["item"]["id"]
        wish = {row.field: filled(row.value, item=item)}
        told = await caller.answered("response.create", response=wish, answer="response.done")
        if row.standing == "refused":
            await refused(caller, row, f"response.{row.field}")
            return
        response = told["response"]
        assert response["status"] == ("incomplete" if row.field == "max_output_tokens" else "completed")
        for name in ("metadata", "output_modalities", "max_output_tokens", "audio"):
            if name == row.field:
                assert response[name] == row.value
        assert (response["conversation_id"] is None) == (row.field == "conversation")


@of(QUERY)
async def test_a_parameter_of_the_address(app: RunningApp, row: Row) -> None:
    async with client(app) as known:
        session = known.session["id"]
        query = {row.field: filled(row.value, session=session)}
        if row.field == "starting_after":
            query["session_id"] = session
        async with client(app, **query) as caller:
            if row.standing == "refused":
                await refused(caller, row, row.field)
            else:
                assert caller.events[0]["type"] == "session.created"


@of(SECRETS)
async def test_a_field_of_a_client_secret(app: RunningApp, row: Row) -> None:
    async with http_client(app) as http:
        answer = await http.post("/v1/realtime/client_secrets", json={row.field: row.value})
        assert answer.status_code == 200
        assert answer.json()["value"].startswith("ek_")


def test_the_rows_are_told_apart() -> None:
    rows = [row for listed in REALTIME_TABLE.values() for row in listed]
    assert len({(name, row.field) for name, listed in REALTIME_TABLE.items() for row in listed}) == len(rows)
    assert {row.standing for row in rows} == {"supported", "accepted", "refused"}
    assert all((row.code is None) == (row.standing != "refused") for row in rows)
    assert get_args(Row.__annotations__["standing"])
