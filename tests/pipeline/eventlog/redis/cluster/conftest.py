"""A Redis Cluster for the folder's tests: Debian's redis-server, three shards with a replica each."""

from collections.abc import AsyncGenerator, Iterator

import pytest

from loadtests.servers.redis_servers import RedisCluster, find_server, redis_cluster
from pipeline.eventlog.open_log import open_hot_log
from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.settings import LogSettings
from tests.contracts.event_log import MAX_BYTES


def settings_for(cluster: RedisCluster, **changes: object) -> LogSettings:
    tree = {"mode": "cluster", "nodes": cluster.nodes, "max_session_bytes": MAX_BYTES} | changes
    return LogSettings.model_validate(tree)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    try:
        find_server()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
async def log(
    cluster: RedisCluster, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[RedisEventLog, None]:
    opened = open_hot_log(settings_for(cluster), tmp_path_factory.getbasetemp())
    yield opened
    await opened.aclose()
