"""Every log keeps the same contract: ours in memory, on the packaged Valkey, and on Debian's Redis 7.0."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.eventlog.redis.redis_log import RedisEventLog
from tests.contracts.event_log import MAX_BYTES, EventLogContract
from tests.support.eventlog.memory_log import MemoryEventLog


class TestMemory(EventLogContract):
    @pytest.fixture
    def log(self) -> MemoryEventLog:
        return MemoryEventLog(max_session_bytes=MAX_BYTES)


class TestValkey(EventLogContract):
    @pytest.fixture
    async def log(self, valkey_home: Path) -> AsyncGenerator[RedisEventLog, None]:
        opened = RedisEventLog(str(embedded_server.socket_path(valkey_home)), max_session_bytes=MAX_BYTES)
        yield opened
        await opened.aclose()


@pytest.mark.redis
class TestDebianRedis(EventLogContract):
    @pytest.fixture
    async def log(self, redis_home: Path) -> AsyncGenerator[RedisEventLog, None]:
        opened = RedisEventLog(str(embedded_server.socket_path(redis_home)), max_session_bytes=MAX_BYTES)
        yield opened
        await opened.aclose()
