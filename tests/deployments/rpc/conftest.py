"""A server of result streams, a trace collector, and loggers that are restored after each test."""

from collections.abc import AsyncGenerator

import pytest

from deployments.rpc.result_stream_server import ResultStreamServer
from tests.support.fixtures.tracing_fixtures import as_before, collecting, quickly
from tests.support.local_replicas import HERE

__all__ = ["as_before", "collecting", "quickly"]


@pytest.fixture
async def results() -> AsyncGenerator[ResultStreamServer, None]:
    async with ResultStreamServer(HERE) as results:
        yield results
