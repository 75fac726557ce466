"""The log on Redis >= 7.0 or Valkey >= 7.2."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final, cast

from pipeline.log.base import Batch, Head, Outcome, State, Verdict
from pipeline.log.codec import Keys, append_arguments, decode_entry, entry_seq
from pipeline.log.ear import RedisEar
from pipeline.log.wire import Command, Wire
from schemas.errors import InputTooLong, LogForeign
from schemas.ids import Seq, SessionId
from schemas.recorded import Recorded

LIBRARY: Final = files("pipeline.log").joinpath("append.lua").read_text("utf-8")
LIBRARY_NAME: Final = "rhapsode2"
WORKERS: Final = files("pipeline.log").joinpath("workers.lua").read_text("utf-8")
ARCHIVE: Final = files("pipeline.log").joinpath("archive.lua").read_text("utf-8")
LIMITS: Final = files("pipeline.log").joinpath("limits.lua").read_text("utf-8")
LIBRARIES: Final[Mapping[str, str]] = {
    LIBRARY_NAME: LIBRARY,
    "rhapsode_workers1": WORKERS,
    "rhapsode_archive1": ARCHIVE,
    "rhapsode_limits1": LIMITS,
}
"""Every library of server functions, by name.

Released code keeps its name and never changes: during a rollout two versions share one server.
"""
CONFIG_KEY: Final = "ev:cfg"
SCHEMA: Final = 1
TOMBSTONE_S: Final = 86_400
STATES: Final[dict[bytes | None, State]] = {
    None: "live",
    b"sealed": "sealed",
    b"archived": "archived",
    b"deleted": "deleted",
}
TOO_LARGE: Final = Outcome(Verdict.TOO_LARGE, Seq(0), Seq(0))


class RedisEventLog:
    """An EventLog on one server (or one address of it). Connects on first use, and again after every break.

    `heal` is called in a thread when the server cannot be reached: the embedded one is started there.
    """

    def __init__(
        self,
        address: str,
        *,
        partitions: int = 16,
        max_session_bytes: int = 0,
        heal: Callable[[], object] | None = None,
        patience_s: float = 10.0,
    ) -> None:
        self._wire = Wire(address, libraries=tuple(LIBRARIES.values()), heal=heal, patience_s=patience_s)
        self._partitions = partitions
        self._max_session_bytes = max_session_bytes
        self._keys: Keys | None = None
        self._log_id: bytes | None = None
        self._known_at = -1

    async def append(self, batches: Sequence[Batch]) -> list[Outcome]:
        keys = await self._ready()
        commands = [self._append_command(keys, batch) for batch in batches]
        taken = [command for command in commands if command is not None]
        replies = iter(await self._call(*taken) if taken else [])
        return [TOO_LARGE if command is None else _outcome(next(replies)) for command in commands]

    def _append_command(self, keys: Keys, batch: Batch) -> Command | None:
        """None: too large; the batches beside it must not suffer for it."""
        try:
            arguments = append_arguments(batch, self._max_session_bytes)
        except InputTooLong:
            return None
        return ("FCALL", "ev2_append", 6, *keys.of(batch.session), *arguments)

    async def read(
        self, session: SessionId, after: Seq, *, limit: int = 500, audio: bool = False
    ) -> list[Recorded]:
        keys = await self._ready()
        first, last = f"{after + 1}-0", f"{after + limit}-0"
        commands: list[Command] = [("XRANGE", keys.facts(session), first, last)]
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
        return [_head(reply) for reply in await self._call(*commands)]

    def ear(self) -> RedisEar:
        return RedisEar(self._wire, self._channel)

    async def _channel(self, session: SessionId) -> str:
        return (await self._ready()).meta(session)

    async def acquire(self, session: SessionId, owner: str, ttl_ms: int) -> bool:
        keys = await self._ready()
        [taken] = await self._call(("FCALL", "ev2_acquire", 1, keys.lease(session), owner, ttl_ms))
        return bool(taken)

    async def release(self, session: SessionId, owner: str) -> None:
        keys = await self._ready()
        await self._call(("FCALL", "ev2_release", 1, keys.lease(session), owner))

    async def abandoned(self) -> list[SessionId]:
        keys = await self._ready()
        commands: list[Command] = [("ZRANGE", keys.work(p), 0, -1) for p in range(keys.partitions)]
        found = [SessionId(name.decode()) for names in await self._call(*commands) for name in names]
        if not found:
            return []
        leases = await self._call(*(("EXISTS", keys.lease(session)) for session in found))
        return [session for session, held in zip(found, leases, strict=True) if not held]

    async def delete(self, session: SessionId) -> None:
        keys = await self._ready()
        await self._call(("FCALL", "ev2_delete", 6, *keys.of(session), session, TOMBSTONE_S))

    async def ping(self) -> None:
        await self._ready()
        await self._call(("PING",))

    async def aclose(self) -> None:
        await self._wire.aclose()

    @property
    def wire(self) -> Wire:
        """For those who need a connection of their own."""
        return self._wire

    async def keys(self) -> Keys:
        """The names of this log's keys, which other adapters on the same server share."""
        return await self._ready()

    async def call(self, *commands: Command) -> list[Any]:
        """For other adapters on the same server; see Wire for what may be sent."""
        await self._ready()
        return await self._call(*commands)

    async def _call(self, *commands: Command) -> list[Any]:
        return await self._wire.call(*commands, before_again=self._ready)

    async def _ready(self) -> Keys:
        """The key names; after each break, only once the server has shown that it is still the same log."""
        if self._keys is not None and self._known_at == self._wire.breaks:
            return self._keys
        breaks = self._wire.breaks
        replies = await self._wire.call(
            ("HSETNX", CONFIG_KEY, "log", uuid.uuid4().hex),
            ("HSETNX", CONFIG_KEY, "partitions", self._partitions),
            ("HSETNX", CONFIG_KEY, "schema", SCHEMA),
            ("HMGET", CONFIG_KEY, "log", "partitions", "schema"),
            *(("FUNCTION", "LIST", "LIBRARYNAME", name, "WITHCODE") for name in LIBRARIES),
        )
        log_id, partitions, schema = cast("list[bytes]", replies[3])
        if self._log_id not in (None, log_id):
            raise LogForeign("The log server was replaced by an empty or different one.")
        if int(schema) != SCHEMA:
            raise LogForeign("The log was written by another version of Rhapsode.")
        for code, found in zip(LIBRARIES.values(), replies[4:], strict=True):
            if not found or code.encode() not in found[0]:
                await self._wire.call(("FUNCTION", "LOAD", "REPLACE", code))
        self._log_id, self._known_at = log_id, breaks
        self._keys = Keys(int(partitions))
        return self._keys


def _outcome(reply: list[Any]) -> Outcome:
    word, first, last = reply
    return Outcome(Verdict(word.decode()), Seq(first), Seq(last))


def _head(reply: list[Any]) -> Head | None:
    seq, epoch, generation, state = reply
    if seq is None:
        return None
    return Head(
        seq=Seq(int(seq)),
        epoch=int(epoch or 0),
        generation=(generation or b"").decode(),
        state=STATES[state],
    )
