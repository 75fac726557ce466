"""Has every server of the log write its append-only file anew, so that what was erased is in none of them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import anyio
from redis.exceptions import MovedError, ResponseError

from pipeline.eventlog.redis.redis_log import RedisEventLog, mark
from pipeline.eventlog.redis.server import BROKEN, Command, Server, fields
from schemas.errors import LogError

_MARK: Final = "erased"
"""A key of each partition that counts rewrites: a server that has the count has what was erased before."""
_LOOK_S: Final = 0.1
_UNDER_WAY: Final = "in progress"


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Result of the rewrite."""

    servers: int
    """Those that are known, replicas included, and those that are away."""
    done: int
    """Of those: they have finished a file that was begun after the call, or keep none."""


async def rewrite(log: RedisEventLog, within_s: float) -> Rewritten:
    """Ask all servers at once and wait so long for them; those that need longer go on without us.

    A replica is asked when it has what was written before the call. Nothing is done where the log is away.
    """
    try:
        keys = await log.keys()
        marks = [keys.beside(partition, _MARK) for partition in range(keys.partitions)]
        counts = await log.call(*(mark(name) for name in marks))
        servers = await log.client.everyone()
    except LogError:
        return Rewritten(0, 0)
    # Only clusters know READONLY, and need it; others refuse it, which does not matter.
    looks: list[Command] = [("READONLY",), *(("GET", name) for name in marks)]
    done: list[bool] = []

    async def ask(server: Server) -> None:
        with anyio.move_on_after(within_s), suppress(*BROKEN, LogError):
            done.append(await _rewritten(server, looks, counts))

    try:
        async with anyio.create_task_group() as tasks:
            for server in servers:
                tasks.start_soon(ask, server)
    finally:
        for server in servers:
            await server.aclose()
    return Rewritten(len(servers), sum(done))


async def _rewritten(server: Server, looks: Sequence[Command], counts: Sequence[int]) -> bool:
    """False where it refuses, or could not write. Raises LogError where it does not say what it does.

    It waits until the marks that `looks` reads have these counts.
    """
    while True:
        _, *marks = await server.once(looks)
        if all(map(_has, marks, counts)):
            break  # it has those of the partitions that are its own
        await anyio.sleep(_LOOK_S)
    state = await _state(server)
    before = state.rewrites  # one that is under way now has begun too early
    while state.keeps_file:
        if state.rewrites > before and not state.busy:
            return state.well
        if not state.busy:
            [reply] = await server.once([("BGREWRITEAOF",)])
            if isinstance(reply, ResponseError) and _UNDER_WAY not in str(reply):
                return False
        await anyio.sleep(_LOOK_S)
        state = await _state(server)
    return True


def _has(found: object, count: int) -> bool:
    return isinstance(found, MovedError) or (isinstance(found, bytes) and int(found) >= count)


@dataclass(frozen=True, slots=True)
class _State:
    """Of a server's append-only file."""

    keeps_file: bool
    rewrites: int
    """Begun since the server started."""
    busy: bool
    well: bool
    """The last one that ended."""


async def _state(server: Server) -> _State:
    [info] = await server.once([("INFO", "persistence")])
    said = fields(info)
    keeps_file, rewrites = said.get("aof_enabled") != "0", said.get("aof_rewrites", "")
    if keeps_file and not rewrites.isdecimal():  # it would be asked for one file after the other
        raise LogError("A server of the log does not say how often it has written its file anew.")
    return _State(
        keeps_file=keeps_file,
        rewrites=int(rewrites or 0),
        busy="1" in (said.get("aof_rewrite_in_progress"), said.get("aof_rewrite_scheduled")),
        well=said.get("aof_last_bgrewrite_status") == "ok",
    )
