"""Connections to servers elsewhere stay open while people listen and think."""

import time
from types import SimpleNamespace

import pytest
from fastapi import FastAPI, Request

from pipeline.engines.http.http_provider import Provider
from tests.support.servers.web_server_thread import serving_somewhere

pytestmark = pytest.mark.anyio


async def test_a_server_that_is_asked_again_within_two_minutes_is_not_connected_to_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, ports, rests_s = FastAPI(), list[int](), [0.0]

    @app.get("/")
    async def note(request: Request) -> None:
        assert request.client is not None
        ports.append(request.client.port)

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + sum(rests_s))
    monkeypatch.setattr("httpcore._async.http11.time", clock)
    with serving_somewhere(app, "the server") as url:
        provider = Provider("cloud", None)
        try:
            for rest_s in (0.0, 100.0, 200.0):
                rests_s.append(rest_s)
                (await provider.http.get(url)).raise_for_status()
        finally:
            await provider.aclose()
    assert ports[0] == ports[1] != ports[2]
