"""Bodies of JSON and forms: long ones are read beside the loop, and those of too many values are not read."""

import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import anyio
import httpx
import orjson
import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel, TypeAdapter, ValidationError, field_validator
from starlette.types import Message, Receive, Scope, Send

from cluster.documents import never_started
from deployments.asgi_app import create_app
from deployments.faces.conversations.json_socket import SpokenMessage
from deployments.faces.forms import form_bodies
from deployments.web import body_limits, problem_details
from deployments.web.body_limits import BodyLimit, BoundedRoute, read_json
from deployments.web.resource_access import PRINCIPAL
from pipeline.auth.principals import Principal
from schemas.apps.assistant_messages import AssistantCommand
from schemas.apps.conversation_messages import ThreadMessage
from schemas.apps.story_messages import (
    CreateScene,
    CreateStory,
    GenerateNarration,
    PreferencesPatch,
    SocketCommand,
    StreamScene,
)
from schemas.errors import BodyTooLarge, InputError
from schemas.native.client_commands import SettingsPatch
from schemas.native.native_messages import ClientTurnRequest
from schemas.openai.chat_request import RhapsodeWishes
from schemas.realtime.realtime_session import ResponseWish, SessionPatch

pytestmark = pytest.mark.anyio
TOO_MANY = b"[" + b"[]," * 200_000 + b"[]]"
LONG = body_limits._AT_ONCE
checked_in: list[int] = []


class Note(BaseModel):
    text: str
    number: int = 0

    @field_validator("text")
    @classmethod
    def _noted(cls, text: str) -> str:
        checked_in.append(threading.get_ident())
        return text


def app() -> httpx.AsyncClient:
    router = APIRouter(route_class=BoundedRoute)

    @router.post("/notes")
    async def post(note: Note | None = None) -> dict[str, Any]:
        return {"chars": len(note.text) if note else None, "thread": threading.get_ident()}

    served = FastAPI()
    served.include_router(router)
    problem_details.install(served)
    return httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://test")


@pytest.mark.parametrize("chars", [3, LONG])
async def test_a_long_body_is_checked_once_and_beside_the_loop(chars: int) -> None:
    checked_in.clear()
    async with app() as http:
        answer = await http.post("/notes", json={"text": "a" * chars})
    assert answer.json()["chars"] == chars
    [thread] = checked_in
    assert (thread == answer.json()["thread"]) == (chars < LONG)


@pytest.mark.parametrize("chars", [3, LONG])
@pytest.mark.parametrize("wrong", [{"number": "many"}, {"number": []}])
async def test_a_fault_in_a_long_body_is_told_as_in_a_short_one(chars: int, wrong: dict[str, Any]) -> None:
    async with app() as http:
        answer = await http.post("/notes", json={"text": "a" * chars, **wrong})
    told = answer.json()
    assert (answer.status_code, told["code"], told["field"]) == (422, "input.invalid", "number")


async def test_a_body_of_too_many_values_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limits, "too_many", lambda _: pytest.fail("it is read"))
    async with app() as http:
        answer = await http.post("/notes", content=TOO_MANY, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "body.too_large")


@pytest.mark.parametrize("text", [TOO_MANY, TOO_MANY.decode()])
async def test_a_message_of_too_many_values_is_not_read(
    text: str | bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orjson, "loads", lambda _: pytest.fail("it is read"))
    with pytest.raises(BodyTooLarge):
        await read_json(text)


async def test_a_message_of_too_many_values_on_a_socket_is_not_read() -> None:
    async def obey(_: SocketCommand) -> None: ...

    spoken = SpokenMessage(SocketCommand, obey, longest=len(TOO_MANY))
    assert await spoken.parse('{"type": "skip", "sentence": 3}') == SocketCommand(type="skip", sentence=3)
    with pytest.raises(BodyTooLarge):
        await spoken.parse(TOO_MANY.decode())
    for wrong in ("{", '{"type": "sing"}', '"' + "a" * len(TOO_MANY)):
        with pytest.raises(InputError):
            await spoken.parse(wrong)


def taking_json() -> list[APIRoute]:
    routes = [one.route for one in iter_route_contexts(create_app(never_started, body_bytes=1_000).routes)]
    return [one for one in routes if isinstance(one, APIRoute) and one.body_field is not None]


@pytest.mark.parametrize("field", ["", "settings"])
def test_of_far_too_many_fields_little_is_told(field: str) -> None:
    """Pydantic makes a complaint of each in one go, in which no thread has its turn."""
    many: dict[str, Any] = {f"field{number}": 1 for number in range(1_000)}
    bodies = [one.body_field.field_info.annotation for one in taking_json() if one.body_field is not None]
    forms = [CreateStory, CreateScene, StreamScene, GenerateNarration, PreferencesPatch]
    for shape in (*forms, SocketCommand, AssistantCommand, ClientTurnRequest, ThreadMessage, *bodies):
        with pytest.raises(ValidationError) as refused:
            TypeAdapter(shape).validate_python({field: many} if field else many)
        assert refused.value.error_count() < 100, shape


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        (SettingsPatch, {"tools": {"functions": [...]}}),
        (SettingsPatch, {"pronunciations": [...]}),
        (SettingsPatch, {"tts_extra": ...}),
        (PreferencesPatch, {"tts_extra_params": ...}),
        (RhapsodeWishes, {"search": ...}),
    ],
)
def test_of_far_too_many_fields_of_a_part_little_is_told(
    shape: type[BaseModel], body: dict[str, Any]
) -> None:
    many = dict.fromkeys(map(str, range(1_000)), 1)

    def filled(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: filled(inner) for name, inner in part.items()}
        return [filled(inner) for inner in part] if isinstance(part, list) else many

    with pytest.raises(ValidationError) as refused:
        shape.model_validate(filled(body))
    assert [error["type"] for error in refused.value.errors()] == ["too_many_fields"]


async def test_bodies_that_do_not_end_are_bounded_for_each_principal_and_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(body_limits, "ARRIVING_BYTES", 4_000)
    go_on = anyio.Event()

    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})

    bodies, statuses = BodyLimit(reads, limit=10_000, files=(), chat=()), dict[str, int]()

    async def ask(name: str, size: int = 900, *, ends: bool = False) -> None:
        sent = iter([size])

        async def receive() -> Message:
            if (left := next(sent, 0)) and not ends:
                return {"type": "http.request", "body": bytes(left), "more_body": True}
            await go_on.wait()
            return {"type": "http.request", "body": bytes(left), "more_body": False}

        async def send(message: Message) -> None:
            statuses.setdefault(name, message.get("status", 0))

        scope = {"type": "http", "method": "POST", "path": "/v1/sessions", "headers": []}
        await bodies({**scope, PRINCIPAL: Principal(name)}, receive, send)

    async with anyio.create_task_group() as tasks:
        for name in ("anna", "bob", "carol", "dave"):
            tasks.start_soon(ask, name)
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(5):
            await ask("eve")
            statuses["everybody"] = statuses.pop("eve")
            await ask("bob", 200)
        assert statuses == {"everybody": 503, "bob": 429}
        go_on.set()
    await ask("anna", ends=True)
    await ask("bob", ends=True)
    assert (statuses["anna"], statuses["carol"], bodies._arriving.total()) == (200, 200, 0)


def lists_in(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Lists of a core schema, but those of any JSON, with what leads there."""
    if isinstance(schema, list):
        for one in schema:
            yield from lists_in(one, path)
    elif isinstance(schema, dict):
        if schema.get("type") in ("list", "tuple", "set", "frozenset"):
            yield path, schema
        for name, inner in schema.items():
            if name not in ("choices", "metadata", "serialization"):
                yield from lists_in(inner, f"{path}.{name}")


def test_a_list_of_a_request_is_read_up_to_its_first_mistake() -> None:
    """A complaint of each of its items would be made in one go."""
    bodies = [one.body_field.field_info.annotation for one in taking_json() if one.body_field is not None]
    found = [
        (path, one)
        for shape in (*bodies, SessionPatch, ResponseWish, SocketCommand, AssistantCommand)
        for path, one in lists_in(TypeAdapter(shape).core_schema)
    ]
    assert len(found) > 50
    assert {path for path, one in found if not one.get("fail_fast")} == set()


async def test_a_body_in_another_encoding_is_no_json() -> None:
    """A count of its signs would say nothing."""
    async with app() as http:
        body = '{"text": "a"}'.encode("utf-16")
        answer = await http.post("/notes", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "body.not_json")


def test_every_route_that_takes_json_bounds_it() -> None:
    assert len(taking_json()) > 10
    assert [one.path for one in taking_json() if not isinstance(one, BoundedRoute)] == []


async def test_a_client_that_leaves_within_its_body_is_no_fault_of_the_server() -> None:
    app = FastAPI()
    problem_details.install(app)

    @app.post("/")
    async def read(request: Request) -> None:
        await request.body()

    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        assert message.get("status") != 500

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    await app(scope, receive, send)


@pytest.mark.parametrize("unit", ["%", "%41", "%e4%b8%ad", "+", "a", "\n"])
def test_a_form_is_read_as_the_library_does_with_a_few_times_its_bytes(unit: str) -> None:
    form = f"a=b&title={unit * (100_000 // len(unit))}&empty="
    tracemalloc.start()
    try:
        pairs = form_bodies._pairs(form.encode())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert pairs == parse_qsl(form, keep_blank_values=True)
    assert most < 20 * len(form)


@pytest.mark.parametrize(
    "charset", ["", "; charset=UTF-8", '; charset="utf8"', "; charset=ISO-8859-1", "; charset=ascii"]
)
def test_forms_are_taken_in_the_charsets_of_stock_clients(charset: str) -> None:
    kind = f"multipart/form-data; boundary=b{charset}".encode()
    form_bodies.check_form_type(Request({"type": "http", "headers": [(b"content-type", kind)]}))


@pytest.mark.parametrize(
    "charset", ["punycode", "idna", "undefined", "unicode_escape", "", pytest.param(";" * 2_000, id="long")]
)
def test_forms_are_refused_in_charsets_that_take_long_or_are_none(charset: str) -> None:
    kind = f"multipart/form-data; boundary=b; charset={charset}".encode()
    with pytest.raises(InputError, match=r"send it in UTF-8|at most 1024 characters"):
        form_bodies.check_form_type(Request({"type": "http", "headers": [(b"content-type", kind)]}))
