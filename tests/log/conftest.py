"""Servers for the log's tests: ours, and Debian's where it is installed."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from pipeline.eventlog.open_log import open_hot_log
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.settings import LogSettings
from tests.log.proxy import FaultyProxy


@pytest.fixture(scope="session")
def valkey_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of a running embedded server that nobody kills."""
    home = tmp_path_factory.mktemp("valkey")
    embedded_server.ensure(home, LogSettings())
    yield home
    embedded_server.stop(home)


@pytest.fixture(scope="session")
def redis_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The same with Debian's redis-server."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("needs Debian's redis-server (apt-get install redis-server)")
    home = tmp_path_factory.mktemp("redis")
    embedded_server.ensure(home, LogSettings(), binary=Path(binary))
    yield home
    embedded_server.stop(home)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """The home of an embedded server of the test's own, stopped at the end if it was started."""
    yield tmp_path
    embedded_server.stop(tmp_path)


@pytest.fixture
async def proxy(valkey_home: Path, tmp_path: Path) -> AsyncGenerator[FaultyProxy, None]:
    """A way to the shared server that can be broken."""
    opened = FaultyProxy(tmp_path / "proxy.sock", embedded_server.socket_path(valkey_home))
    server = await asyncio.start_unix_server(opened.serve, opened.path)
    yield opened
    server.close()


@pytest.fixture
async def log(home: Path) -> AsyncGenerator[RedisEventLog, None]:
    """A log on the test's own server."""
    opened = open_hot_log(LogSettings(), home)
    yield opened
    await opened.aclose()
