"""The log on Redis >= 7.0 or Valkey >= 7.2."""

import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from math import inf
from typing import Any, Final, cast

import anyio
from redis.asyncio.connection import ConnectionPool

from pipeline.eventlog.event_log import (
    ANY,
    PAGE,
    TOMBSTONE_S,
    Batch,
    Head,
    Lease,
    Outcome,
    PushSubscription,
    State,
    Tail,
    Verdict,
)
from pipeline.eventlog.redis.blocking_reads import BlockingWaiter, Waiter
from pipeline.eventlog.redis.bounded_pages import BoundedPages, heard_at_once
from pipeline.eventlog.redis.client import AnyRedisClient, FailedOver, RedisClient, about_server
from pipeline.eventlog.redis.codec import Keys, append_arguments, entry_seq
from pipeline.eventlog.redis.failover import FailoverHold
from pipeline.eventlog.redis.push_subscription import RedisPushSubscription
from pipeline.eventlog.redis.server import FULL, Command, Unreplicated, check_mode, run_id
from schemas.errors import InputTooLong, LogForeign, LogFull, LogUnavailable
from schemas.events import TERMINAL
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId
from schemas.native.native_messages import LogState

_PAUSE_S: Final = 0.05
_CLOCK_S: Final = 30.0
"""Seconds without another look at the server's clock; longer: a server whose clock is put right is late."""
_SECONDS: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Between two tries, each of which waits for the replicas itself."""


class NotCertain(LogUnavailable):
    """It is done, and may yet be lost with the server."""


def marks(keys: Keys, partitions: Iterable[int]) -> list[Command]:
    """To be sent behind writes to these partitions.

    A write that is sent again writes nothing, and the server waits only for what was written.
    """
    return [mark(keys.beside(p, "sync")) for p in partitions]


def mark(key: str) -> Command:
    """Counts up, also on a server whose memory is full: deletions, which make room there, end with it."""
    return ("FCALL", "ea2_mark", 1, key)


async def until_replicated(send: Callable[[], Awaitable[list[Any]]], patience_s: float) -> list[Any]:
    """The replies to commands that are sent again until enough replicas have what they write.

    Raises NotCertain where they have not in time.
    """
    deadline = time.monotonic() + patience_s
    while True:
        replies = await send()
        if not any(isinstance(reply, Unreplicated) for reply in replies):
            return replies
        if time.monotonic() > deadline:
            raise NotCertain("Too few replicas of the log answer.")
        await anyio.sleep(_PAUSE_S)


LIBRARY: Final = files("pipeline.eventlog.redis").joinpath("lua/append.lua").read_text("utf-8")
LIBRARY_NAME: Final = "rhapsode2"
WORKERS: Final = files("pipeline.eventlog.redis").joinpath("lua/workers.lua").read_text("utf-8")
ARCHIVE: Final = files("pipeline.eventlog.redis").joinpath("lua/archive.lua").read_text("utf-8")
LIMITS: Final = files("pipeline.eventlog.redis").joinpath("lua/limits.lua").read_text("utf-8")
LIBRARIES: Final[Mapping[str, str]] = {
    LIBRARY_NAME: LIBRARY,
    "rhapsode_workers3": WORKERS,
    "rhapsode_archive2": ARCHIVE,
    "rhapsode_limits3": LIMITS,
}
"""Every library of server functions, by name.

Released code keeps its name and never changes: during a rollout two versions share one server.
"""


STATES: Final[dict[bytes | None, State]] = {
    None: "live",
    b"sealed": "sealed",
    b"archived": "archived",
    b"deleted": "deleted",
}
ENDS: Final = TERMINAL | {"session.ended"}
TOO_LARGE: Final = Outcome(Verdict.TOO_LARGE, Seq(0), Seq(0))
LATER: Final = Outcome(Verdict.UNREPLICATED, Seq(0), Seq(0))
"""Not sent yet."""


def must_be_replicated(batch: Batch) -> bool:
    """Commands, of which nobody keeps a copy, and ends: an owner gives back only what is younger."""
    return batch.epoch == 0 or any(new.event.type in ENDS for new in batch.events)


def is_fresh(batch: Batch) -> bool:
    """A command that goes wherever the log ends, seen by nobody yet."""
    return batch.epoch == 0 and batch.expected == ANY and batch.mode != "create"


def certain(batch: Batch, reply: Any) -> Outcome:
    """Returns the outcome; UNREPLICATED for a batch that must have replicas and has none yet."""
    if not isinstance(reply, Unreplicated):
        return outcome_of(reply)
    outcome = outcome_of(reply.reply)
    if outcome.verdict in (Verdict.OK, Verdict.DUP) and must_be_replicated(batch):
        return Outcome(Verdict.UNREPLICATED, outcome.first, outcome.last)
    return outcome


def outcome_of(reply: list[Any]) -> Outcome:
    word, first, last = reply
    return Outcome(Verdict(word.decode()), Seq(first), Seq(last))


def head_of(reply: list[Any]) -> Head | None:
    seq, epoch, generation, state = reply
    if seq is None:
        return None
    return Head(
        seq=Seq(int(seq)),
        epoch=int(epoch or 0),
        generation=(generation or b"").decode(),
        state=STATES[state],
    )


def head_command(keys: Keys, session: SessionId) -> Command:
    return ("HMGET", keys.meta(session), "seq", "ep", "gen", "st")


def tail_commands(keys: Keys, session: SessionId, after: Seq, count: int) -> list[Command]:
    events = ("XRANGE", keys.events(session), f"{after + 1}-0", f"{after + count}-0")
    return [head_command(keys, session), events]


def good(replies: Iterable[Any]) -> Iterator[Any]:
    """Of servers that answered."""
    return (reply for reply in replies if not isinstance(reply, Exception))


def named(replies: Iterable[Iterable[bytes]]) -> list[SessionId]:
    return [SessionId(name.decode()) for names in replies for name in names]


CONFIG_KEY: Final = "ev:cfg"
SCHEMA: Final = 1


class RedisEventLog:
    """An EventLog on one server (or one address of it). Connects on first use, and again after every break.

    `heal` is called in a thread when the server cannot be reached: the embedded one is started there.
    """

    def __init__(
        self,
        address: str | ConnectionPool | AnyRedisClient,
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
        self._client: AnyRedisClient = address
        self._replicas = replicas
        self._patience_s = patience_s
        self._partitions = partitions
        self._max_session_bytes = max_session_bytes
        self._keys: Keys | None = None
        self._log_id: bytes | None = None
        self._known_at = -1
        self._grace = FailoverHold(grace_s)
        self._leases = RedisLeases(self._ready, self._call, self._grace)
        self._pages = BoundedPages()
        self._run_id = b""
        self._failovers = 0
        self._clock = (-inf, -1, 0)
        """When the server's clock was read here, after how many breaks, and what it said (milliseconds)."""

    async def append(self, batches: Sequence[Batch]) -> list[Outcome]:
        while True:
            keys = await self._ready()
            failovers = self.failovers
            blocked = await self._blocked(keys, batches)
            commands = [
                LATER if is_fresh(batch) and batch.session in blocked else self._append_command(keys, batch)
                for batch in batches
            ]
            try:
                return await self._append(keys, batches, commands, failovers)
            except FailedOver:
                continue  # the batches before are there; some of the rest must wait now

    async def _blocked(self, keys: Keys, batches: Sequence[Batch]) -> set[SessionId]:
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
        self, session: SessionId, after: Seq, *, limit: int = PAGE, audio: bool = False
    ) -> list[Recorded]:
        keys = await self._ready()
        async with self._pages.turn(session, limit) as count:
            places = f"{after + 1}-0", f"{after + count}-0"
            [entries] = await self._call(("XRANGE", keys.events(session), *places))
            events = self._pages.decoded(session, entries, asked=count)
        return await self._with_sound(keys, session, events) if audio else events

    async def _with_sound(self, keys: Keys, session: SessionId, events: Sequence[Recorded]) -> list[Recorded]:
        """Asked for once the events have said how much there is: 500 of them may have 128 MB."""
        events = heard_at_once(events)
        if not events:
            return []
        places = f"{events[0].seq}-0", f"{events[-1].seq}-0"
        [entries] = await self._call(("XRANGE", keys.audio(session), *places))
        sound = {entry_seq(entry): entry[1][1] for entry in entries}
        return [replace(one, audio=sound[one.seq]) if one.seq in sound else one for one in events]

    async def heads(self, sessions: Sequence[SessionId]) -> list[Head | None]:
        keys = await self._ready()
        if not sessions:
            return []
        return [
            head_of(reply)
            for reply in await self._call(*(head_command(keys, session) for session in sessions))
        ]

    async def tail(self, session: SessionId, after: Seq) -> Tail:
        keys = await self._ready()
        async with self._pages.turn(session, PAGE) as count:
            head, events = await self._call(*tail_commands(keys, session, after, count))
            return Tail(head_of(head), self._pages.decoded(session, events, asked=count))

    async def acquire_tail(self, session: SessionId, owner: str, ttl_ms: int, after: Seq) -> Tail | None:
        keys = await self._ready()
        async with self._pages.turn(session, PAGE) as count:
            commands = tail_commands(keys, session, after, count)
            [held], replies = await self._leases.take([(session, owner)], ttl_ms, commands)
            if not held:
                return None
            return Tail(head_of(replies[0]), self._pages.decoded(session, replies[1], asked=count))

    def push_subscription(self) -> PushSubscription:
        return RedisPushSubscription(self._single, self._channel)

    def waiter(self) -> Waiter:
        """For one reader of trigger streams."""
        return BlockingWaiter(self._single, self._ready)

    @property
    def failovers(self) -> int:
        return self._failovers

    async def attend(self) -> None:
        """One try, which starts no server that is not there."""
        [reply] = await self._client.each(("PING",))
        if isinstance(reply, Exception):
            raise LogUnavailable("The log does not answer.") from reply
        if self._keys is not None:
            await self._ready()

    def shard_of(self, session: SessionId) -> str:
        return ""

    async def _channel(self, session: SessionId) -> str:
        return (await self._ready()).meta(session)

    async def acquire(self, session: SessionId, owner: str, ttl_ms: int) -> bool:
        return (await self.renew([(session, owner)], ttl_ms))[0]

    async def renew(self, leases: Sequence[Lease], ttl_ms: int) -> list[bool]:
        return (await self._leases.take(leases, ttl_ms))[0]

    async def release(self, session: SessionId, owner: str) -> None:
        await self._leases.release((session, owner))

    async def has_work(self) -> bool:
        keys = await self._ready()
        found = await self.partly(
            *(("EXISTS", *(keys.work(p) for p in some)) for some in self.together(range(keys.partitions)))
        )
        return any(found)  # an exception counts: that server may have some

    @staticmethod
    def together(partitions: Sequence[int]) -> Sequence[Sequence[int]]:
        """The partitions by command: one command may name keys of all those that stand together."""
        return [partitions]

    async def abandoned(self) -> list[SessionId]:
        keys = await self._ready()
        groups = self.together(range(keys.partitions))
        commands: list[Command] = [("ZUNION", len(some), *map(keys.work, some)) for some in groups]
        found = await self.partly(*commands)
        working = [named([names]) for names in good(found) if names]
        if not working:
            return []
        leases = await self.partly(*(("MGET", *map(keys.lease, some)) for some in working))
        return [
            session
            for some, owners in zip(working, leases, strict=True)
            if not isinstance(owners, Exception)
            for session, owner in zip(some, owners, strict=True)
            if owner is None and self._grace.passed(session)
        ]

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
        return self._client.state

    async def aclose(self) -> None:
        await self._client.aclose()

    @property
    def client(self) -> AnyRedisClient:
        """For those who ask all servers."""
        return self._client

    async def now_ms(self) -> int:
        """On the log server's clock, the same one for all who ask. It is read twice a minute, and after each
        break; in between this machine's seconds are added, those that it slept included."""
        here_s = time.clock_gettime(_SECONDS)
        read_at_s, breaks, server_ms = self._clock
        if here_s - read_at_s > _CLOCK_S or breaks != self._client.breaks:
            [(seconds, micros)] = await self.call(("TIME",))
            server_ms = int(seconds) * 1_000 + int(micros) // 1_000
            read_at_s, self._clock = here_s, (here_s, self._client.breaks, server_ms)
        return server_ms + int((here_s - read_at_s) * 1_000)

    async def keys(self) -> Keys:
        """The names of this log's keys, which other adapters on the same server share."""
        return await self._ready()

    async def call(self, *commands: Command) -> list[Any]:
        """For other adapters on the same server; see Wire for what may be sent."""
        await self._ready()
        return await self._call(*commands)

    async def partly(self, *commands: Command) -> list[Any]:
        """Replies of the servers that answer, exceptions for the others: for repeated work."""
        await self._ready()
        return await self._client.partly(*commands, look=self._look)

    async def _call(self, *commands: Command, replicas: int = 0, failovers: int | None = None) -> list[Any]:
        """Raises FailedOver once there have been more than `failovers`."""

        def outdated() -> bool:
            return failovers not in (None, self.failovers)

        return await self._client.call(*commands, look=self._look, replicas=replicas, outdated=outdated)

    async def _see_failover(self, run: bytes, keys: Keys) -> None:
        if self._run_id and run not in (b"", self._run_id):
            work = await self._client.call(*(("ZRANGE", keys.work(p), 0, -1) for p in range(keys.partitions)))
            await self._suspect(named(work), lambda commands: self._client.call(*commands))
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
        if self._keys is not None and self._known_at == self._client.breaks:
            return self._keys
        breaks = self._client.breaks
        check_mode(about := await about_server(self._client))
        log_id, partitions, schema, _ = await self._config()
        if self._log_id not in (None, log_id):
            raise LogForeign("The log server was replaced by an empty or different one.")
        if int(schema) != SCHEMA:
            raise LogForeign("The log was written by another version of Rhapsode.")
        libraries = await self._client.call(
            *(("FUNCTION", "LIST", "LIBRARYNAME", name, "WITHCODE") for name in LIBRARIES)
        )
        for code, found in zip(LIBRARIES.values(), libraries, strict=True):
            if not found or code.encode() not in found[0]:
                await self._client.call(("FUNCTION", "LOAD", "REPLACE", code))
        self._keys = Keys(int(partitions))
        await self._see_failover(run_id(about), self._keys)
        self._log_id, self._known_at = log_id, breaks
        return self._keys

    async def _config(self) -> list[bytes]:
        """The log's id, its partitions, its schema, and whether its partitions are marked.

        Written where it is missing, and only there: a server whose memory is full takes no such write.
        """
        look: Command = ("HMGET", CONFIG_KEY, "log", "partitions", "schema", "marked")
        [config] = await self._client.call(look)
        if None in config[:3]:
            await self._client.call(
                ("HSETNX", CONFIG_KEY, "log", uuid.uuid4().hex),
                ("HSETNX", CONFIG_KEY, "partitions", self._partitions),
                ("HSETNX", CONFIG_KEY, "schema", SCHEMA),
            )
            [config] = await self._client.call(look)
        return cast("list[bytes]", config)


class RedisLeases:
    """Taken, renewed and given back; a failover's grace has its say in it."""

    def __init__(
        self,
        ready: Callable[[], Awaitable[Keys]],
        call: Callable[..., Awaitable[list[Any]]],
        grace: FailoverHold,
    ) -> None:
        self._ready = ready
        self._call = call
        self._grace = grace

    async def take(
        self, leases: Sequence[Lease], ttl_ms: int, then: Sequence[Command] = ()
    ) -> tuple[list[bool], list[Any]]:
        """Take or renew them all in one call; whether each is held, in their order, and the replies to
        `then`.

        Where no lease may be taken nothing is sent, and there are no replies.
        """
        keys = await self._ready()
        asked = [lease for lease in leases if self._grace.may_take(*lease)]
        commands = [("FCALL", "ev2_acquire", 1, keys.lease(lease[0]), lease[1], ttl_ms) for lease in asked]
        replies = await self._call(*commands, *then) if asked else []
        taken = dict(zip(asked, replies, strict=False))
        held = [lease in taken and await self._settle(lease, taken=bool(taken[lease])) for lease in leases]
        return held, replies[len(asked) :]

    async def _settle(self, lease: Lease, *, taken: bool) -> bool:
        if taken and not self._grace.may_take(*lease):
            await self.release(lease)  # the failover was at this very moment
            return False
        (self._grace.taken if taken else self._grace.gone)(*lease)
        return taken

    async def release(self, lease: Lease) -> None:
        session, owner = lease
        self._grace.gone(session, owner)
        keys = await self._ready()
        await self._call(("FCALL", "ev2_release", 1, keys.lease(session), owner))
