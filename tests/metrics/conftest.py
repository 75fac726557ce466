"""Two gateways with workers on one log, and what they say of themselves."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from pipeline.eventlog.redis.embedded import embedded_server
from schemas.settings import LogSettings
from tests.support import RunningApp, running_app, scripted_settings

REPLY = "Once upon a time there was a lighthouse keeper. Every night he lit the lamp! A fox came. So it was."


class Gateways(NamedTuple):
    """Workers run beside the first."""

    first: RunningApp
    second: RunningApp


@pytest.fixture(scope="package")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    home: Path = tmp_path_factory.mktemp("metrics")
    embedded_server.ensure(home, LogSettings())
    log = {"url": f"unix://{embedded_server.socket_path(home)}"}
    answers = {"reply": REPLY, "delta_chars": 12, "per_delta_ms": 2}
    settings = scripted_settings(home, llm=answers, log=log)
    try:
        with running_app(settings, workers=True) as first, running_app(settings) as second:
            yield Gateways(first, second)
    finally:
        embedded_server.stop(home)


@pytest.fixture
async def http(gateways: Gateways) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with httpx.AsyncClient(base_url=gateways.first.url, timeout=30) as client:
        yield client
