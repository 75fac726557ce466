"""An application with small limits, that sessions are moved out of and into, and a log with an archive."""

from collections.abc import AsyncGenerator

import httpx
import pytest

from pipeline.eventlog.open_log import open_log
from pipeline.eventlog.tiered_log import TieredLog
from tests.support.clients.native_client import Heard, ask, create, listen_until_over
from tests.support.eventlog.bundles import LIMIT
from tests.support.fixtures.archive_fixtures import archive_home, tiers
from tests.support.running_app import RunningApp, app_fixture

__all__ = ["archive_home", "tiers"]
mover = app_fixture(
    "package",
    llm={"reply": "The sea is wide. It is deep, too!", "reply_to": {"slowly": "On and on. " * 90}},
    limits={"body_bytes": 5_000, "bundle_bytes": LIMIT},
    log={"max_session_bytes": 400_000},
)


@pytest.fixture
async def http(mover: RunningApp) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with httpx.AsyncClient(base_url=mover.url, timeout=30) as client:
        yield client


@pytest.fixture
async def log(mover: RunningApp) -> AsyncGenerator[TieredLog, None]:
    opened = open_log(mover.settings.log, mover.settings.home, mover.settings.archive)
    yield opened
    await opened.aclose()


@pytest.fixture
async def told(mover: RunningApp, http: httpx.AsyncClient) -> tuple[str, Heard]:
    """A session with two finished turns, and what a listener got of it."""
    session = await create(http, title="Of the sea")
    heard = Heard()
    for _ in range(2):
        turn = await ask(http, session, prompt="Tell me of the sea")
        heard = await listen_until_over(mover.ws_url, session, turn, heard, audio="opus")
    return session, heard
