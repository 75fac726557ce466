"""Real log servers, shared or of one test; a proxy that breaks connections; a recorder on a log."""

from collections.abc import AsyncGenerator

import pytest

from pipeline.eventlog.event_log import EventLog
from pipeline.eventlog.recorder import Recorder
from schemas.ids import SessionId, new_session_id
from tests.support.eventlog.log_events import STARTED
from tests.support.fixtures.log_server_fixtures import home, log, proxy, redis_home, valkey_home

__all__ = ["home", "log", "proxy", "redis_home", "valkey_home"]


@pytest.fixture
async def recorder(log: EventLog) -> AsyncGenerator[Recorder, None]:
    async with Recorder(log) as opened:
        yield opened


@pytest.fixture
async def session(recorder: Recorder) -> SessionId:
    created = new_session_id()
    await recorder.post(created, STARTED, mode="create")
    return created
