"""The log on Redis >= 7.0 or Valkey >= 7.2."""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, cast

from redis.asyncio.connection import ConnectionPool

from pipeline.eventlog.event_log import TOMBSTONE_S, Batch, Head, Lease, Outcome, PushSubscription
from pipeline.eventlog.redis.blocking_reads import BlockingWaiter, Waiter
from pipeline.eventlog.redis.client import FailedOver, RedisClient, Wires, about_server
from pipeline.eventlog.redis.codec import Keys, append_arguments, decode_entry, entry_seq
from pipeline.eventlog.redis.failover.failover_hold import FailoverHold
from pipeline.eventlog.redis.leases import RedisLeases
from pipeline.eventlog.redis.lua_libraries import LIBRARIES
from pipeline.eventlog.redis.outcomes import (
    LATER,
    TOO_LARGE,
    certain,
    good,
    head_of,
    is_fresh,
    must_be_replicated,
    named,
)
from pipeline.eventlog.redis.push_subscription import RedisPushSubscription
from pipeline.eventlog.redis.replication import marks, until_replicated
from pipeline.eventlog.redis.server import FULL, Command
from pipeline.eventlog.redis.server_info import check_mode, run_id
from schemas.errors import InputTooLong, LogForeign, LogFull, LogUnavailable
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId
from schemas.native.native_messages import LogState

CONFIG_KEY: Final = "ev:cfg"
SCHEMA: Final = 1


class RedisEventLog:
    """An EventLog on one server (or one address of it). Connects on first use, and again after every break.

    `heal` is called in a thread when the server cannot be reached: the embedded one is started there.
    """

    def __init__(
        self,
        address: str | ConnectionPool | Wires,
        *,
        partitions: int = 16,
        max_session_bytes: int = 0,
        replicas: int = 0,
        grace_s: float = 0.0,
        heal: Callable[[], object] | None = None,
        patience_s: float = 10.0,
    ) -> None:
        """`replicas`: so many must have commands, the ends of turns and deletions before these count as done.

        `grace_s`: see Grace.
        """
        if isinstance(address, str | ConnectionPool):
            libraries = tuple(LIBRARIES.values())
            address = self._single = RedisClient(
                address, libraries=libraries, heal=heal, patience_s=patience_s
            )
        self._wire: Wires = address
        self._replicas = replicas
        self._patience_s = patience_s
        self._partitions = partitions
        self._max_session_bytes = max_session_bytes
        self._keys: Keys | None = None
        self._log_id: bytes | None = None
        self._known_at = -1
        self._grace = FailoverHold(grace_s)
        self._leases = RedisLeases(self._ready, self._call, self._grace)
        self._run_id = b""
        self._failovers = 0

    async def append(self, batches: Sequence[Batch]) -> list[Outcome]:
        while True:
            keys = await self._ready()
            failovers = self.failovers
            mute = await self._mute(keys, batches)
            commands = [
                LATER if is_fresh(batch) and batch.session in mute else self._append_command(keys, batch)
                for batch in batches
            ]
            try:
                return await self._append(keys, batches, commands, failovers)
            except FailedOver:
                continue  # what was done is there; some of the rest must wait now

    async def _mute(self, keys: Keys, batches: Sequence[Batch]) -> set[SessionId]:
        """Those of the sessions of which a new server may lack events that only their owners still have."""
        fresh = {b.session for b in batches if is_fresh(b) and not self._grace.may_speak(b.session)}
        if fresh:
            sessions = list(fresh)
            ends = await self._call(*(("HMGET", keys.meta(session), "seq", "wk") for session in sessions))
            for session, (seq, work) in zip(sessions, ends, strict=True):
                self._grace.see(session, Seq(int(seq or 0)), busy=int(work or 0) > 0)
        return {session for session in fresh if not self._grace.may_speak(session)}

    async def _append(
        self, keys: Keys, batches: Sequence[Batch], commands: Sequence[Command | Outcome], failovers: int
    ) -> list[Outcome]:
        sent = [command for command in commands if not isinstance(command, Outcome)]
        replicas = self._replicas if any(map(must_be_replicated, batches)) else 0
        behind = marks(keys, {keys.partition(batch.session) for batch in batches if replicas})

        replies = iter(
            await self._call(*sent, *behind, replicas=replicas, failovers=failovers) if sent else []
        )
        return [
            command if isinstance(command, Outcome) else certain(batch, next(replies))
            for batch, command in zip(batches, commands, strict=True)
        ]

    def _append_command(self, keys: Keys, batch: Batch) -> Command | Outcome:
        """An outcome where it is too large; the batches beside it must not suffer for it."""
        try:
            arguments = append_arguments(batch, self._max_session_bytes)
        except InputTooLong:
            return TOO_LARGE
        return ("FCALL", "ev2_append", 6, *keys.of(batch.session), *arguments)

    async def read(
        self, session: SessionId, after: Seq, *, limit: int = 500, audio: bool = False
    ) -> list[Recorded]:
        keys = await self._ready()
        first, last = f"{after + 1}-0", f"{after + limit}-0"
        commands: list[Command] = [("XRANGE", keys.events(session), first, last)]
        if audio:
            commands.append(("XRANGE", keys.audio(session), first, last))
        replies = await self._call(*commands)
        sound = {entry_seq(entry): entry[1][1] for entry in replies[1]} if audio else {}
        return [decode_entry(entry, sound.get(entry_seq(entry))) for entry in replies[0]]

    async def heads(self, sessions: Sequence[SessionId]) -> list[Head | None]:
        keys = await self._ready()
        if not sessions:
            return []
        commands: list[Command] = [("HMGET", keys.meta(s), "seq", "ep", "gen", "st") for s in sessions]
        return [head_of(reply) for reply in await self._call(*commands)]

    def ear(self) -> PushSubscription:
        return RedisPushSubscription(self._single, self._channel)

    def waiter(self) -> Waiter:
        """For one reader of trigger streams."""
        return BlockingWaiter(self._single, self._ready)

    @property
    def failovers(self) -> int:
        return self._failovers

    async def attend(self) -> None:
        """One try, which starts no server that is not there."""
        [reply] = await self._wire.each(("PING",))
        if isinstance(reply, Exception):
            raise LogUnavailable("The log does not answer.") from reply
        if self._keys is not None:
            await self._ready()

    def road(self, session: SessionId) -> str:
        return ""

    async def _channel(self, session: SessionId) -> str:
        return (await self._ready()).meta(session)

    async def acquire(self, session: SessionId, owner: str, ttl_ms: int) -> bool:
        return (await self._leases.take([(session, owner)], ttl_ms))[0]

    async def renew(self, leases: Sequence[Lease], ttl_ms: int) -> list[bool]:
        return await self._leases.take(leases, ttl_ms)

    async def release(self, session: SessionId, owner: str) -> None:
        await self._leases.release((session, owner))

    async def abandoned(self) -> list[SessionId]:
        keys = await self._ready()
        commands: list[Command] = [("ZRANGE", keys.work(p), 0, -1) for p in range(keys.partitions)]
        found = named(good(await self.partly(*commands)))
        if not found:
            return []
        leases = await self.partly(*(("EXISTS", keys.lease(session)) for session in found))
        free = [session for session, held in zip(found, leases, strict=True) if held == 0]
        return [session for session in free if self._grace.passed(session)]

    async def delete(self, session: SessionId) -> None:
        keys = await self._ready()
        await self.write(session, ("FCALL", "ev2_delete", 6, *keys.of(session), session, TOMBSTONE_S))

    async def write(self, session: SessionId, command: Command) -> Any:
        """The reply to a write about the session that may be repeated, once enough replicas have it.

        Raises NotCertain where they have not in time.
        """
        keys = await self._ready()
        return (await self._surely(command, *marks(keys, [keys.partition(session)])))[0]

    async def settled(self) -> None:
        """Return once enough replicas have all that was written before. Raises as `write`."""
        if self._replicas:
            keys = await self._ready()
            await self._surely(*marks(keys, range(keys.partitions)))

    async def _surely(self, *commands: Command) -> list[Any]:
        return await until_replicated(
            lambda: self._call(*commands, replicas=self._replicas), self._patience_s
        )

    async def ping(self) -> None:
        """Raises LogUnavailable, and LogFull where writes were refused a moment ago for want of memory."""
        await self.call(("PING",))
        if self.state == "full":
            raise LogFull(FULL)

    @property
    def state(self) -> LogState:
        return self._wire.state

    async def aclose(self) -> None:
        await self._wire.aclose()

    @property
    def wire(self) -> Wires:
        """For those who ask all servers."""
        return self._wire

    async def now_ms(self) -> int:
        """On the log server's clock, the same one for all who ask."""
        [(seconds, micros)] = await self.call(("TIME",))
        return int(seconds) * 1_000 + int(micros) // 1_000

    async def keys(self) -> Keys:
        """The names of this log's keys, which other adapters on the same server share."""
        return await self._ready()

    async def call(self, *commands: Command) -> list[Any]:
        """For other adapters on the same server; see Wire for what may be sent."""
        await self._ready()
        return await self._call(*commands)

    async def partly(self, *commands: Command) -> list[Any]:
        """What the servers say that answer, and exceptions for the others: for what is done again anyway."""
        await self._ready()
        return await self._wire.partly(*commands, look=self._look)

    async def _call(self, *commands: Command, replicas: int = 0, failovers: int | None = None) -> list[Any]:
        """Raises FailedOver once there have been more than `failovers`."""

        def outdated() -> bool:
            return failovers not in (None, self.failovers)

        return await self._wire.call(*commands, look=self._look, replicas=replicas, outdated=outdated)

    async def _see_failover(self, run: bytes, keys: Keys) -> None:
        if self._run_id and run not in (b"", self._run_id):
            work = await self._wire.call(*(("ZRANGE", keys.work(p), 0, -1) for p in range(keys.partitions)))
            await self._suspect(named(work), lambda commands: self._wire.call(*commands))
            self._failovers += 1
        self._run_id = run or self._run_id

    async def _suspect(
        self, sessions: Sequence[SessionId], ask: Callable[[Sequence[Command]], Awaitable[list[Any]]]
    ) -> None:
        assert self._keys is not None
        ends = (
            await ask([("HGET", self._keys.meta(session), "seq") for session in sessions]) if sessions else []
        )
        found = zip(sessions, ends, strict=True)
        self._grace.suspect(
            {session: Seq(int(end or 0)) for session, end in found if not isinstance(end, Exception)}
        )

    async def _look(self) -> bytes:
        await self._ready()
        return self._run_id

    async def _ready(self) -> Keys:
        """The key names; after each break, only once the server has shown that it is still the same log."""
        if self._keys is not None and self._known_at == self._wire.breaks:
            return self._keys
        breaks = self._wire.breaks
        check_mode(about := await about_server(self._wire))
        log_id, partitions, schema, _ = await self._config()
        if self._log_id not in (None, log_id):
            raise LogForeign("The log server was replaced by an empty or different one.")
        if int(schema) != SCHEMA:
            raise LogForeign("The log was written by another version of Rhapsode.")
        libraries = await self._wire.call(
            *(("FUNCTION", "LIST", "LIBRARYNAME", name, "WITHCODE") for name in LIBRARIES)
        )
        for code, found in zip(LIBRARIES.values(), libraries, strict=True):
            if not found or code.encode() not in found[0]:
                await self._wire.call(("FUNCTION", "LOAD", "REPLACE", code))
        self._keys = Keys(int(partitions))
        await self._see_failover(run_id(about), self._keys)
        self._log_id, self._known_at = log_id, breaks
        return self._keys

    async def _config(self) -> list[bytes]:
        """The log's id, its partitions, its schema, and whether its partitions are marked.

        Written where it is missing, and only there: a server whose memory is full takes no such write.
        """
        look: Command = ("HMGET", CONFIG_KEY, "log", "partitions", "schema", "marked")
        [config] = await self._wire.call(look)
        if None in config[:3]:
            await self._wire.call(
                ("HSETNX", CONFIG_KEY, "log", uuid.uuid4().hex),
                ("HSETNX", CONFIG_KEY, "partitions", self._partitions),
                ("HSETNX", CONFIG_KEY, "schema", SCHEMA),
            )
            [config] = await self._wire.call(look)
        return cast("list[bytes]", config)
