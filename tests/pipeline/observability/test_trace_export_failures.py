"""A collector that is gone, slow or wrong costs spans and nothing else."""

from pathlib import Path

import httpx
import pytest

from loadtests.servers.rhapsode_process import free_port
from pipeline.observability.trace_export import CLOSE_S
from tests.support.clients.native_client import ask, create, listen_until_over
from tests.support.eventually import eventually
from tests.support.fixtures.tracing_fixtures import STORY, traced
from tests.support.running_app import running_app, scripted_settings
from tests.support.servers.trace_collector import collector

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("trouble", ["gone", "slow", "busy", "wrong", "full"])
async def test_no_turn_is_hurt_by_its_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    if trouble == "full":
        monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "2")
        monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
    with collector() as found:
        found.status = {"busy": 503, "wrong": 400}.get(trouble, 200)
        url = f"http://127.0.0.1:{free_port()}" if trouble == "gone" else found.url
        if trouble in ("slow", "full"):
            found.gate.clear()
            url += "/slow/v1/traces"
        settings = scripted_settings(tmp_path, llm={"reply": STORY}, tracing=traced(url))
        with running_app(settings) as app:
            async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
                for _ in range(3):
                    session = await create(http)
                    turn = await ask(http, session, prompt="A story, please.")
                    heard = await listen_until_over(app.ws_url, session, turn)
                    assert heard.text(turn) == STORY
                    assert heard.types(turn)[-1] == "turn.completed"
            if trouble in ("slow", "full"):
                await eventually(lambda: found.waiting > 0)
        # It has ended by now, although the collector has not answered.
        assert CLOSE_S < 5, "what Serve gives a replica"
        assert found.spans == []
