"""Routes without a credential cost the same however often they are asked."""

from threading import get_ident

import anyio
import pytest
from starlette.requests import Request
from starlette.routing import Route

from cluster.documents import never_started
from deployments.asgi_app import create_app
from pipeline.core.clock import Lately
from schemas.native.native_messages import Health

pytestmark = pytest.mark.anyio


class Parts:
    """Counts how often they are asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.now_s = 0.0

    async def look(self) -> Health:
        self.asked += 1
        await anyio.lowlevel.checkpoint()
        return Health.model_construct(status=f"asked {self.asked}")


async def test_the_parts_are_asked_once_a_second_by_however_many() -> None:
    parts = Parts()
    lately = Lately(1.0, clock_s=lambda: parts.now_s)
    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(lately.get, parts.look)
    assert parts.asked == 1
    parts.now_s = 0.9
    assert (await lately.get(parts.look)).status == "asked 1"
    parts.now_s = 1.1
    assert (await lately.get(parts.look)).status == "asked 2"


async def test_a_question_that_was_given_up_keeps_nobody_else_waiting() -> None:
    parts = Parts()
    lately = Lately(1.0, clock_s=lambda: parts.now_s)

    async def never() -> Health:
        await anyio.sleep_forever()
        raise AssertionError

    with anyio.move_on_after(0.01):
        await lately.get(never)
    assert (await lately.get(parts.look)).status == "asked 1"


def test_the_description_of_the_api_is_made_once() -> None:
    app = create_app(never_started, body_bytes=1_000)
    first = app.openapi()
    assert "bearer" in first["components"]["securitySchemes"]
    assert app.openapi() is first
    del first["paths"]["/v1/voices"]
    assert "/v1/voices" not in app.openapi()["paths"]


async def test_the_description_of_the_api_is_made_once_beside_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, threads = create_app(never_started, body_bytes=1_000), list[int]()

    def describe() -> dict[str, str]:
        threads.append(get_ident())
        return {"openapi": "3.1.0"}

    monkeypatch.setattr(app, "openapi", describe)
    [route] = [route for route in app.routes if isinstance(route, Route) and route.path == "/openapi.json"]
    answers = [await route.endpoint(Request({"type": "http"})) for _ in range(2)]
    assert [answer.body for answer in answers] == [b'{"openapi":"3.1.0"}'] * 2
    assert len(threads) == 1
    assert get_ident() not in threads
