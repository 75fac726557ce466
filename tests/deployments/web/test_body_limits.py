"""Bodies of JSON: long ones are checked beside the loop, and those of too many values are not read."""

import threading
from typing import Any

import httpx
import orjson
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel, field_validator

from cluster.openapi import _nothing
from deployments.asgi_app import create_app
from deployments.web import body_limits, problem_details
from deployments.web.body_limits import BoundedRoute, read_json
from schemas.errors import BodyTooLarge

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
async def test_what_is_wrong_with_a_long_body_is_told_as_of_a_short_one(
    chars: int, wrong: dict[str, Any]
) -> None:
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


async def test_a_body_in_another_encoding_is_no_json() -> None:
    """A count of its signs would say nothing."""
    async with app() as http:
        body = '{"text": "a"}'.encode("utf-16")
        answer = await http.post("/notes", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "body.not_json")


def test_every_route_that_takes_json_bounds_it() -> None:
    routes = [one.route for one in iter_route_contexts(create_app(_nothing, body_bytes=1_000).routes)]
    taking = [one for one in routes if isinstance(one, APIRoute) and one.body_field is not None]
    assert len(taking) > 10
    assert [one.path for one in taking if not isinstance(one, BoundedRoute)] == []
