"""Appends the batches of all producer queues: one round trip to a shard at a time, until each is answered."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import anyio

from pipeline.eventlog.event_log import Batch, EventLog, Outcome, Verdict
from pipeline.eventlog.producer_queue import ProducerQueue, refusal
from pipeline.eventlog.redis.failover import GAP_S, FailoverReplayer, Given, UnreplicatedTail
from schemas.errors import LogError, LogFull, LogUnavailable, RhapsodeError
from schemas.ids import Seq, SessionId

FLUSH_BATCHES: Final = 256
"""Batches of one round trip; the others take the next."""
RETRY_S: Final = 0.05
FULL_S: Final = 1.0
"""Between tries while the log's memory is full: only deletions, which do not come this way, make room."""
IDLE_S: Final = 60.0
"""A shard to which nothing was sent for so long, or for twice as long, is forgotten: shards come and go."""
LINGER_S: Final = 0.06
"""Events that may wait for more leave so long after the first of them; Kafka's producers call it so."""
UNSURE_S: Final = 10.0
"""As long as the log's own patience."""
_IN: Final = (Verdict.OK, Verdict.DUP)
_LATER: Final = (
    *(Verdict.UNREPLICATED, Verdict.ARCHIVE_AWAY, Verdict.CONFLICT),
    *(Verdict.PRODUCER_GAP, Verdict.NO_SESSION),
)
"""Nothing is gained by sending it again at once."""


@dataclass(eq=False)
class ShardQueue:
    """The producer queues that hold events for one server."""

    ready: dict[ProducerQueue, None] = field(default_factory=dict)
    lingering: dict[ProducerQueue, None] = field(default_factory=dict)
    work: asyncio.Event = field(default_factory=asyncio.Event)
    idle: bool = False
    """Nothing was sent since the last look."""


class GroupCommitter:
    """A lone event leaves at once; whatever comes while a round trip is under way is the next group.

    Each shard has one round trip under way, so that a server that fails delays no other one.
    """

    def __init__(
        self, log: EventLog, retain_s: float, appended: Callable[[float], None] = lambda _: None
    ) -> None:
        """`appended` is told how long each round trip took."""
        self._log = log
        self._appended = appended
        self._retained = UnreplicatedTail(retain_s)
        self._replayer = FailoverReplayer(log, self._retained)
        self._shards: dict[str, ShardQueue] = {}
        self._new: list[tuple[str, ShardQueue]] = []
        self._at: dict[ProducerQueue, ShardQueue] = {}
        """A queue keeps its shard until its batch is answered, also where its session moves meanwhile."""
        self._unsure: dict[ProducerQueue, float] = {}
        """Since when too few replicas have the queue's batch."""
        self._displaced: dict[ProducerQueue, float] = {}
        """Since when what was before the queue's batch is missing."""
        self._changed = asyncio.Event()
        self._done = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Queues that hold events."""
        return len(self._at)

    @property
    def weight(self) -> int:
        """Bytes of the events in those queues, roughly."""
        return sum(queue.weight for queue in self._at)

    def add(self, queue: ProducerQueue) -> None:
        shard = self._at.get(queue)
        if shard is None:
            shard = self._at[queue] = self._shard(self._log.shard_of(queue.session))
        self._done.clear()
        if queue not in shard.ready and queue.lingers:
            if not shard.lingering:
                asyncio.get_running_loop().call_later(LINGER_S, self._end_linger, shard)
            shard.lingering[queue] = None
        else:
            shard.ready[queue] = None
            shard.work.set()

    def _end_linger(self, shard: ShardQueue) -> None:
        """Queues that linger are sent, unless they were sent already with an event that could not wait."""
        lingering, shard.lingering = shard.lingering, {}
        shard.ready.update((queue, None) for queue in lingering if self._at.get(queue) is shard)
        if shard.ready:
            shard.work.set()

    def _shard(self, name: str) -> ShardQueue:
        shard = self._shards.get(name)
        if shard is None:
            shard = self._shards[name] = ShardQueue()
            self._new.append((name, shard))
            self._changed.set()
        return shard

    async def erase(self, session: SessionId) -> None:
        """As `Recorder.erase`."""
        await self._replayer.erase(session)

    async def drained(self) -> None:
        while self._at:
            await self._done.wait()

    async def run(self) -> None:
        """For ever."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._replayer.run)
            while True:
                with anyio.move_on_after(IDLE_S):
                    await self._changed.wait()
                self._changed.clear()
                self._wake_idle()
                while self._new:
                    tasks.start_soon(self._drive, *self._new.pop())

    def _wake_idle(self) -> None:
        """Shards to which nothing was sent since the last call end; no timer is set for each round trip."""
        for shard in self._shards.values():
            if shard.idle:
                shard.work.set()
            shard.idle = True

    async def _drive(self, name: str, shard: ShardQueue) -> None:
        """Until nothing is sent to the shard any more."""
        while True:
            await shard.work.wait()
            if not shard.ready and not shard.lingering:
                del self._shards[name]
                return
            shard.idle = False
            while shard.ready:
                await self._flush(list(islice(shard.ready, FLUSH_BATCHES)))
            shard.work.clear()
            if not self._at:
                self._done.set()

    async def _flush(self, queues: Sequence[ProducerQueue]) -> None:
        sent = [(queue, batch) for queue in queues if (batch := queue.batch()) is not None]
        begun = time.monotonic()
        try:
            outcomes = await self._log.append([batch for _, batch in sent])
            self._appended(time.monotonic() - begun)
        except LogUnavailable as error:
            for queue in queues:
                self._again(queue, error)
            await anyio.sleep(FULL_S if isinstance(error, LogFull) else RETRY_S)
            return
        except LogError as error:
            for queue in queues:
                self._fail(queue, error)
            return
        for (queue, batch), outcome in zip(sent, outcomes, strict=True):
            if outcome.verdict is Verdict.UNREPLICATED:
                self._wait_for_replicas(queue, outcome)
            elif outcome.verdict is Verdict.CONFLICT and queue.place is not None:
                self._wait_for_others(queue, queue.place, outcome)
            elif outcome.verdict is Verdict.ARCHIVE_AWAY:
                self._again(queue, refusal(outcome.verdict))
            else:
                await self._settle(queue, batch, outcome)
        if all(
            queue in self._at and outcome.verdict in _LATER
            for (queue, _), outcome in zip(sent, outcomes, strict=True)
        ):
            await anyio.sleep(RETRY_S)

    def _wait_for_replicas(self, queue: ProducerQueue, outcome: Outcome) -> None:
        """It is sent again; whoever waits for it is told in time that nothing is certain."""
        queue.place = outcome.first or queue.place
        self._displaced.pop(queue, None)
        self._requeue(queue)
        since = self._unsure.setdefault(queue, time.monotonic())
        if queue.impatient and time.monotonic() - since > UNSURE_S:
            self._fail(queue, refusal(Verdict.UNREPLICATED))

    def _wait_for_others(self, queue: ProducerQueue, place: Seq, outcome: Outcome) -> None:
        """A server without the last events has come: those who wrote what was before this batch give it back.

        Readers read it at that place. If nobody gives back what was before it, or another event has
        its place, it goes wherever the log ends.
        """
        since = self._displaced.setdefault(queue, time.monotonic())
        if outcome.first >= place or time.monotonic() - since > GAP_S:
            queue.place = None
        self._requeue(queue)

    async def _settle(self, queue: ProducerQueue, batch: Batch, outcome: Outcome) -> None:
        if outcome.verdict in _IN:
            now = time.monotonic()
            self._retained.keep(batch, outcome, now)
            if self._replayer.owes_nothing(queue.session):
                self._retained.let_go(queue.session, now)
            queue.settle(outcome)
            # To the end of the line, so that the first 256 queues never starve the others.
            self._leave(queue)
            if not queue.empty:
                self.add(queue)
        elif await _repaired(self._replayer, queue, outcome):
            self._requeue(queue)
        else:
            if outcome.verdict is Verdict.GONE:
                self._replayer.forget(queue.session)
            self._fail(queue, refusal(outcome.verdict))

    def _again(self, queue: ProducerQueue, error: RhapsodeError) -> None:
        """Nothing is decided; who waits for the answer is told."""
        if queue.impatient:
            self._fail(queue, error)
        else:
            self._requeue(queue)

    def _requeue(self, queue: ProducerQueue) -> None:
        """To the end of the line: those who must be sent again and again leave room for the others."""
        if (shard := self._at.get(queue)) is not None:
            shard.ready.pop(queue, None)
            shard.ready[queue] = None

    def _fail(self, queue: ProducerQueue, error: RhapsodeError) -> None:
        self._leave(queue)
        queue.fail(error)

    def _leave(self, queue: ProducerQueue) -> None:
        self._unsure.pop(queue, None)
        self._displaced.pop(queue, None)
        if (shard := self._at.pop(queue, None)) is not None:
            shard.ready.pop(queue, None)


async def _repaired(replayer: FailoverReplayer, queue: ProducerQueue, outcome: Outcome) -> bool:
    """True: the log had lost its end, we give it back, and the batch may be sent again."""
    if outcome.verdict not in (Verdict.PRODUCER_GAP, Verdict.NO_SESSION):
        return False
    try:
        given = await replayer.give_back(queue.session)
    except LogUnavailable:
        return True  # nothing is decided: the batch is sent again and gets the same answer
    except LogError:
        return False  # the trouble of one session, which must not become everybody's
    if given is Given.WHOLE:
        again, queue.doubted = not queue.doubted, True  # another writer may have filled the gap meanwhile
        return again
    return given is not Given.NOTHING
