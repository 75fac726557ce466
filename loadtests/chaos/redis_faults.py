"""Faults of a Redis Cluster and of a master with sentinels. Every function blocks: call it in a thread."""

import time
from dataclasses import dataclass
from typing import Final

from loadtests.servers.redis_servers import RedisCluster, RedisServer, SentinelRedis, wait_for
from pipeline.eventlog.redis.cluster.hash_slots import slot_of

_CUT_OFF_S: Final = 0.4
"""Shorter than the time after which a server that is silent counts as dead."""


@dataclass(frozen=True, slots=True)
class RedisFailover:
    """Result of one failover."""

    lost: int
    """Events of the session that nobody but its owner had then."""
    at: float
    """When the server was killed, on the clock of `time.monotonic`."""
    promoted_s: float
    """Until one of its replicas had its place."""


def replicas_of(cluster: RedisCluster, primary: RedisServer) -> list[RedisServer]:
    for _, _, (host, port, *_), *others in cluster.alive[0].ask("CLUSTER", "SLOTS"):
        if f"{host.decode()}:{port}" == primary.address:
            return [cluster.at(f"{other[0].decode()}:{other[1]}") for other in others]
    return []


def fail_shard_over(cluster: RedisCluster, key: str, *, cut_off_s: float = _CUT_OFF_S) -> RedisFailover:
    """Kill the primary that has `key`, a meta hash, after its replicas were cut off from it for a while.

    The dead one comes back as a replica.
    """
    slot = slot_of(key)
    primary = cluster.primary_of(slot)
    replicas = replicas_of(cluster, primary)
    at, lost = _die(primary, replicas, key, cut_off_s, read_only=True)
    wait_for(lambda: cluster.primary_of(slot) in replicas, "a new primary")
    promoted = time.monotonic()
    primary.start()
    wait_for(lambda: cluster.whole() and cluster.replicated(), "a whole cluster")
    return RedisFailover(lost, at, promoted - at)


def fail_master_over(watched: SentinelRedis, key: str, *, cut_off_s: float = _CUT_OFF_S) -> RedisFailover:
    """The same with a master that sentinels watch."""
    master = watched.master()
    replicas = [server for server in watched.servers if server is not master]
    at, lost = _die(master, replicas, key, cut_off_s, read_only=False)
    wait_for(lambda: watched.master() is not master, "a new master")
    promoted = time.monotonic()
    master.start()
    wait_for(lambda: watched.master().info("replication")["connected_slaves"] == len(replicas), "replicas")
    return RedisFailover(lost, at, promoted - at)


def _die(
    primary: RedisServer, replicas: list[RedisServer], key: str, cut_off_s: float, *, read_only: bool
) -> tuple[float, int]:
    """kill -9; when, and how much further the dead one was with the session than its replicas are."""
    for replica in replicas:
        replica.freeze()
    primary.ask("CLIENT", "KILL", "TYPE", "replica")
    time.sleep(cut_off_s)
    last = int(primary.ask("HGET", key, "seq"))
    at = time.monotonic()
    primary.kill()
    behind = []
    for replica in replicas:
        replica.thaw()
        with replica.client() as client:
            if read_only:
                client.readonly()
            behind.append(last - int(client.hget(key, "seq") or 0))
    return at, max(behind)


def move_slots(cluster: RedisCluster, slots: list[int]) -> int:
    """Each of these slots to the next shard; how many were moved."""
    for slot in slots:
        addresses = sorted(cluster.primaries())
        here = addresses.index(cluster.primary_of(slot).address)
        cluster.migrate(slot, cluster.at(addresses[(here + 1) % len(addresses)]))
    return len(slots)
