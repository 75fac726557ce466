"""The log says so when its mode is wrong, and waits where it has too few copies."""

from pathlib import Path

import pytest

from loadtests.chaos.redis_faults import replicas_of
from loadtests.servers.redis_servers import RedisCluster, wait_for
from pipeline.eventlog.event_log import Verdict
from pipeline.eventlog.open_log import open_hot_log
from pipeline.eventlog.redis.cluster.hash_slots import slot_of
from pipeline.eventlog.redis.codec import Keys
from schemas.errors import LogError
from schemas.ids import Seq, new_session_id
from schemas.settings import LogSettings
from tests.pipeline.eventlog.redis.cluster.conftest import settings_for
from tests.support.eventlog.log_events import STARTED, batch, creation, delta

pytestmark = [pytest.mark.anyio, pytest.mark.redis]


async def test_a_node_of_a_cluster_is_no_single_server(cluster: RedisCluster, tmp_path: Path) -> None:
    log = open_hot_log(LogSettings.model_validate({"url": f"redis://{cluster.nodes[0]}"}), tmp_path)
    with pytest.raises(LogError, match=r"set log\.mode to cluster"):
        await log.ping()
    await log.aclose()


async def test_commands_wait_for_a_second_copy_and_words_do_not(
    cluster: RedisCluster, tmp_path: Path
) -> None:
    log, session = open_hot_log(settings_for(cluster), tmp_path), new_session_id()
    await log.append([creation(session)])
    primary = cluster.primary_of(slot_of(Keys(64).meta(session)))
    wait_for(lambda: replicas_of(cluster, primary), "a replica: one that was slow is left out for a while")
    [replica] = replicas_of(cluster, primary)
    replica.freeze()
    try:
        command, words = batch(session, 1, STARTED), batch(session, 1, delta(0), producer="owner", epoch=1)
        said = [outcome.verdict for outcome in await log.append([command, words])]
        again = [outcome.verdict for outcome in await log.append([command])]
    finally:
        replica.thaw()
    while (last := (await log.append([command]))[0]).verdict is Verdict.UNREPLICATED:
        pass
    assert (said, again) == ([Verdict.UNREPLICATED, Verdict.OK], [Verdict.UNREPLICATED])
    assert (last.verdict, last.first, len(await log.read(session, Seq(0)))) == (Verdict.DUP, 2, 3)
    await log.aclose()


async def test_a_shard_that_came_back_empty_is_refused(cluster: RedisCluster, tmp_path: Path) -> None:
    log, other, session = (
        open_hot_log(settings_for(cluster), tmp_path),
        open_hot_log(settings_for(cluster), tmp_path),
        new_session_id(),
    )
    await log.append([creation(session)])
    keys = Keys(64)
    mark = keys.beside(keys.partition(session), "log")
    kept = (await log.call(("GET", mark)))[0]
    await log.call(("SET", mark, "another log"))
    try:
        with pytest.raises(LogError, match="replaced"):
            await other.append([batch(session, 1, STARTED)])
    finally:
        await log.call(("SET", mark, kept))
    await log.aclose()
    await other.aclose()
