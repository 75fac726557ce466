"""Gateways of one machine hear of each other: they share its processors."""

from pathlib import Path

import httpx
import pytest

from tests.support.clients.native_client import ask, create
from tests.support.eventually import eventually
from tests.support.running_app import running_app, scripted_settings

pytestmark = pytest.mark.anyio

SLOW = {"reply": "It takes its time. " * 40, "delta_chars": 4, "per_delta_ms": 50}


async def test_each_gateway_hears_what_runs_in_the_other_and_how_late_it_is(tmp_path: Path) -> None:
    settings = scripted_settings(tmp_path, llm=SLOW)
    with running_app(settings) as one, running_app(settings) as other:
        heard = one.services.backpressure.limiter
        late = other.services.backpressure.limiter
        await eventually(lambda: (heard._beside.gateways, heard._beside.turns) == (1, 0))
        late._lately.extend([(late._clock.monotonic(), 3.0)] * 3)
        await eventually(lambda: [times for _, times in heard._beside.lately] == [3.0] * 3)
        async with httpx.AsyncClient(base_url=other.url, timeout=30) as http:
            await ask(http, await create(http), prompt="slowly")
            await eventually(lambda: heard._beside.turns == 1)
