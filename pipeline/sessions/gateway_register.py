"""The gateways of one log: what each says of itself, and how one of them goes without anybody missing it."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Final, Self

import anyio
import orjson
from anyio.abc import TaskGroup

from pipeline.admission.concurrency_limiter import Neighbours
from pipeline.admission.engine_backpressure import EngineBackpressure
from pipeline.core.clock import Clock, coalesced_sleep
from pipeline.eventlog.redis.redis_log import RedisEventLog
from pipeline.sessions.drain import Drain
from pipeline.sessions.owner_pool import OwnerPool
from schemas.errors import LogError

log = logging.getLogger(__name__)

LOST_MS: Final = 5_000
"""A gateway that has announced nothing for so long is absent."""
_ANNOUNCE_S: Final = 0.5
_IDLE_INTERVALS: Final = 5
"""Intervals from one announcement to the next while no turn runs here and nothing has changed."""
_SILENT_MS: Final = 1_500
"""The turns of a gateway that has announced nothing for three intervals are not counted."""
_LOOK_S: Final = 0.25
_GOODBYE_S: Final = 0.5
_ASK_S: Final = 2.0
"""How long a log that is frozen is waited for."""
HERE: Final = "ev:{gateways}:here"
"""Gateway -> what it says of itself."""
LEAVE: Final = "ev:{gateways}:leave"
"""Gateway -> when it was asked to go."""
_FORGET_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class GatewayPresence:
    """One gateway, as it has last announced itself."""

    gateway: str
    host: str
    pid: int
    release: str
    since_ms: int
    seen_ms: int
    turns: int = 0
    sessions: int = 0
    listeners: int = 0
    waiting: int = 0
    """Calls that no engine has begun to answer."""
    saturated: str = ""
    lately: Sequence[tuple[float, float]] = ()
    """How long before that (seconds) its latest answers began, and how many times as late as usual."""
    leaving: str = ""
    """Why it goes; empty: it stays."""

    def packed(self) -> bytes:
        return orjson.dumps(asdict(self))

    @classmethod
    def unpacked(cls, packed: bytes) -> "GatewayPresence":
        """Decodes a presence; fields that this version does not know are left out.

        Raises TypeError or ValueError where a number is expected and is none.
        """
        found = dict(orjson.loads(packed))
        presence = cls(**{name: value for name, value in found.items() if name in cls.__dataclass_fields__})
        lately = [(float(ago_s), float(times)) for ago_s, times in presence.lately]
        return replace(presence, seen_ms=int(presence.seen_ms), turns=int(presence.turns), lately=lately)


@dataclass(frozen=True, slots=True)
class Announced:
    """Answer of the register to an announcement."""

    asked_to_leave: bool
    present: Mapping[str, GatewayPresence]
    """All gateways that have announced themselves lately, by name; the one that asks included."""


class RedisGateways:
    """Register of gateways: two hashes on the log's own server, by its clock, since a gateway's may be wrong.

    Raises LogError.
    """

    def __init__(self, log: RedisEventLog) -> None:
        self._log = log

    async def announce(self, presence: GatewayPresence) -> Announced:
        now_ms = await self._log.now_ms()
        presence = replace(presence, seen_ms=now_ms)
        _, asked, flat = await self._log.call(
            ("HSET", HERE, presence.gateway, presence.packed()),
            ("HEXISTS", LEAVE, presence.gateway),
            ("HGETALL", HERE),
        )
        return Announced(bool(asked), await self._present(flat, now_ms))

    async def retire(self, gateway: str) -> None:
        await self._log.call(("HDEL", HERE, gateway), ("HDEL", LEAVE, gateway))

    async def present(self) -> Mapping[str, GatewayPresence]:
        """Returns the gateways that are present; a gateway that died silently is forgotten after a while.

        An outage of the log makes no gateway absent: times count from the latest announcement of any gateway.
        """
        [flat] = await self._log.call(("HGETALL", HERE))
        return await self._present(flat, await self._log.now_ms())

    async def _present(self, flat: Sequence[bytes], now_ms: int) -> Mapping[str, GatewayPresence]:
        found = [one for one in map(_unpacked, flat[1::2]) if one is not None]
        latest = min(now_ms, max((one.seen_ms for one in found), default=0))
        if lost := [one.gateway for one in found if one.seen_ms < latest - _FORGET_MS]:
            await self._log.call(("HDEL", HERE, *lost), ("HDEL", LEAVE, *lost))
        return {one.gateway: one for one in found if one.seen_ms >= latest - LOST_MS}

    async def ask_to_leave(self, gateway: str) -> bool:
        """False: there is no such gateway."""
        present = await self.present()
        if gateway not in present:
            return False
        await self._log.call(("HSET", LEAVE, gateway, present[gateway].seen_ms))
        return True


def _unpacked(packed: bytes) -> GatewayPresence | None:
    """None: nothing that we understand. All gateways read it, and none may end by what another wrote."""
    try:
        return GatewayPresence.unpacked(packed)
    except (TypeError, ValueError):
        return None


class Leaving:
    """Announces this gateway, and takes it away when somebody asks for that. An async context manager."""

    def __init__(
        self,
        presence: GatewayPresence,
        register: RedisGateways,
        drain: Drain,
        owners: OwnerPool,
        backpressure: EngineBackpressure,
        clock: Clock,
        stop_requested: Callable[[], bool] = lambda: False,
    ) -> None:
        """`stop_requested` is asked now and then: whoever runs this process may want it to end."""
        self.register = register
        self.drain = drain
        self._first = presence
        self._owners = owners
        self._backpressure = backpressure
        self._clock = clock
        self._stop_requested = stop_requested
        self._gone = anyio.Event()
        self._tasks: TaskGroup

    async def __aenter__(self) -> Self:
        self._tasks = await anyio.create_task_group().__aenter__()
        self._tasks.start_soon(self._announce)
        self._tasks.start_soon(self._follow_stop_requests)
        self._tasks.start_soon(self._go)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._tasks.cancel_scope.cancel()
        self.drain.close("broken" if kind is not None else "closed")
        result = await self._tasks.__aexit__(kind, error, trace)
        with anyio.move_on_after(_GOODBYE_S, shield=True):
            try:
                await self.register.retire(self._first.gateway)
            except LogError:
                log.debug("the log was not told that this gateway has gone")
        return result

    async def go(self, why: str) -> None:
        """Return when everything that was here is elsewhere, or has had its time."""
        self.drain.ask(why)
        await self._gone.wait()

    @property
    def presence(self) -> GatewayPresence:
        """Of this gateway, now."""
        lately = [(round(ago_s, 2), round(times, 2)) for ago_s, times in self._backpressure.limiter.lately]
        return replace(
            self._first,
            seen_ms=self._clock.now_ms(),
            turns=self._owners.running,
            sessions=self._owners.owned,
            listeners=self.drain.guests,
            waiting=self._backpressure.waiting,
            saturated=self._backpressure.crowded,
            lately=lately,
            leaving=self.drain.why,
        )

    async def _announce(self) -> None:
        while True:
            said, intervals = self.presence, _IDLE_INTERVALS
            try:
                found = await self.register.announce(said)
                if found.asked_to_leave:
                    self.drain.ask("asked")
                self._backpressure.limiter.update_neighbours(neighbours(self._first, found.present))
            except LogError as error:
                log.debug("the register of gateways does not answer: %s", error)
                intervals = 1
            for _ in range(intervals):
                await coalesced_sleep(_ANNOUNCE_S)
                if said.turns or replace(self.presence, seen_ms=said.seen_ms) != said:
                    break

    async def _follow_stop_requests(self) -> None:
        while True:
            await coalesced_sleep(_LOOK_S)
            if self._stop_requested():
                self.drain.ask("stopped")
                return

    async def _go(self) -> None:
        drain = self.drain
        await drain.wait()
        log.info("this gateway is leaving: %s", drain.why)
        try:
            await self._look_round()
            settings = drain.settings
            patience_s = 0.0 if drain.alone else settings.sentence_s
            async with anyio.create_task_group() as partings:
                partings.start_soon(self._hand_over, patience_s)
                partings.start_soon(self._wait_for_guests)
        finally:
            drain.over = True
            self._gone.set()

    async def _hand_over(self, patience_s: float) -> None:
        """A log that does not answer keeps nobody here: what was not given up is found by who comes next."""
        with anyio.move_on_after(patience_s + _ASK_S):
            await self._owners.hand_over(patience_s)

    async def _wait_for_guests(self) -> None:
        """Those who listen are sent away; what cannot be resumed is waited for, if others finish it."""
        drain = self.drain
        with anyio.move_on_after(drain.settings.spread_s + _GOODBYE_S):
            await drain.empty()
        with anyio.move_on_after(drain.settings.grace_s):
            while drain.guests and not drain.alone:
                await anyio.sleep(_LOOK_S)
                await self._look_round()

    async def _look_round(self) -> None:
        """Is there anybody else? Who cannot be asked is not there."""
        others: Mapping[str, GatewayPresence] = {}
        with anyio.move_on_after(_ASK_S), suppress(LogError):
            others = (await self.register.announce(self.presence)).present
        self.drain.alone = not any(
            not other.leaving for name, other in others.items() if name != self._first.gateway
        )


def neighbours(ours: GatewayPresence, present: Mapping[str, GatewayPresence]) -> Neighbours:
    """The other gateways of our machine: what keeps their answers waiting keeps ours.

    A silent gateway may have died: its last announcement grows old, and its turns are not counted. A gateway
    that runs no turn announces itself seldom, and is not taken for silent.
    """
    now_ms = max((one.seen_ms for one in present.values()), default=0)
    beside = [one for name, one in present.items() if name != ours.gateway and one.host == ours.host]
    living = [one for one in beside if not one.turns or now_ms - one.seen_ms < _SILENT_MS]
    lately = [
        (ago_s + (now_ms - one.seen_ms) / 1_000, times) for one in beside for ago_s, times in one.lately
    ]
    return Neighbours(len(living), sum(one.turns for one in living), lately)
