"""A gateway of which one part breaks serves nobody any more, and says that it should be replaced."""

from pathlib import Path

import anyio
import httpx
import pytest

from tests.support.clients.native_client import create
from tests.support.eventually import eventually
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.anyio


def break_a_part_of(app: RunningApp) -> None:
    async def fail() -> None:
        raise ZeroDivisionError("nobody has thought of this")

    assert app.loop is not None
    assert app.services is not None
    app.loop.call_soon_threadsafe(app.services.tailer._tasks.start_soon, fail)


async def test_a_client_that_comes_to_a_broken_gateway_is_sent_to_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running_app(scripted_settings(tmp_path)) as app:
        async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
            session = await create(http)
            break_a_part_of(app)
            drain = app.services.leaving.drain
            await eventually(lambda: drain.closed)
            with anyio.fail_after(30):
                told = await http.get("/v1/ready")
                listening = await http.get(f"/v1/sessions/{session}/events")
                asking = await http.post(f"/v1/sessions/{session}/turns", json={"prompt": "Who is there?"})
    assert (told.json()["status"], told.json()["detail"]) == ("leaving", "broken")
    for refused in (listening, asking):
        assert (refused.status_code, refused.json()["code"]) == (503, "gateway.leaving")
        assert int(refused.headers["Retry-After"]) >= 1
    assert drain.over  # which Serve is told when it asks how this gateway is
    assert "a part of it broke" in caplog.text
