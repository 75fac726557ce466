"""The log in this process's memory: the same promises, gone with the process. The model of the real one."""

import math
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import anyio

from pipeline.eventlog.event_log import (
    ANY,
    PAGE,
    Batch,
    Head,
    Lease,
    Outcome,
    Push,
    State,
    Subscribed,
    Tail,
    Verdict,
)
from pipeline.eventlog.redis.codec import encode, quota_for, size_of
from schemas.errors import InputTooLong
from schemas.events import TERMINAL, payload
from schemas.events.recorded import NewEvent, Recorded
from schemas.ids import Seq, SessionId
from schemas.native.native_messages import LogState

WORK: Final = {"turn.requested": 1, "session.end_requested": 1} | dict.fromkeys(TERMINAL, -1)
"""Event types that make work for an owner, and those that end it."""


@dataclass
class _Session:
    generation: str = ""
    events: list[Recorded] = field(default_factory=list)
    seq: Seq = Seq(0)  # noqa: RUF009 - an int
    epoch: int = 0
    owner: str = ""
    state: State = "live"
    ts_ms: int = 0
    size: int = 0
    work: int = 0
    producers: dict[str, tuple[int, Seq, Seq]] = field(default_factory=dict)


class MemoryEventLog:
    """An EventLog for the tests of one process."""

    def __init__(self, *, max_session_bytes: int = 0, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._max_session_bytes = max_session_bytes
        self._clock_s = clock_s
        self._sessions: dict[SessionId, _Session] = {}
        self._leases: dict[SessionId, tuple[str, float]] = {}
        self._subscriptions: list[MemoryPushSubscription] = []

    async def append(self, batches: Sequence[Batch]) -> list[Outcome]:
        return [self._append(batch) for batch in batches]

    def _append(self, batch: Batch) -> Outcome:
        session = self._sessions.get(batch.session)
        seq = session.seq if session else Seq(0)
        try:
            size = size_of([encode(new) for new in batch.events])
        except InputTooLong:
            return Outcome(Verdict.TOO_LARGE, Seq(0), Seq(0))
        if not batch.events:
            return Outcome(Verdict.OK, Seq(0), seq)
        if refused := _refused(session, batch, size, quota_for(batch, self._max_session_bytes)):
            return refused
        if session is None:
            session = self._sessions[batch.session] = _Session(batch.generation)
        new = [_record(session, event) for event in batch.events]
        outcome = Outcome(Verdict.OK, new[0].seq, new[-1].seq)
        session.size += size
        session.producers[batch.producer] = (batch.number, outcome.first, outcome.last)
        if batch.epoch > session.epoch:
            session.epoch, session.owner = batch.epoch, batch.producer
        if batch.mode == "seal":
            session.state, session.work = "sealed", 0
        for subscription in self._subscriptions:
            subscription.announce(Push(batch.session, outcome.first, outcome.last, tuple(new)))
        return outcome

    async def read(
        self, session: SessionId, after: Seq, *, limit: int = PAGE, audio: bool = False
    ) -> list[Recorded]:
        known = self._sessions.get(session)
        found = known.events[after : after + limit] if known else []
        return found if audio else [replace(event, audio=None) for event in found]

    async def heads(self, sessions: Sequence[SessionId]) -> list[Head | None]:
        known = [self._sessions.get(session) for session in sessions]
        return [None if s is None else Head(s.seq, s.epoch, s.generation, s.state) for s in known]

    async def tail(self, session: SessionId, after: Seq) -> Tail:
        [head] = await self.heads([session])
        return Tail(head, await self.read(session, after))

    async def acquire_tail(self, session: SessionId, owner: str, ttl_ms: int, after: Seq) -> Tail | None:
        return await self.tail(session, after) if await self.acquire(session, owner, ttl_ms) else None

    failovers = 0
    state: LogState = "ok"

    async def attend(self) -> None:
        await anyio.lowlevel.checkpoint()

    def shard_of(self, session: SessionId) -> str:
        return ""

    def push_subscription(self) -> "MemoryPushSubscription":
        subscription = MemoryPushSubscription(self._subscriptions.remove)
        self._subscriptions.append(subscription)
        return subscription

    async def acquire(self, session: SessionId, owner: str, ttl_ms: int) -> bool:
        holder, until = self._leases.get(session, (owner, math.inf))
        if holder != owner and until > self._clock_s():
            return False
        self._leases[session] = owner, self._clock_s() + ttl_ms / 1_000
        return True

    async def renew(self, leases: Sequence[Lease], ttl_ms: int) -> list[bool]:
        return [await self.acquire(session, owner, ttl_ms) for session, owner in leases]

    async def release(self, session: SessionId, owner: str) -> None:
        if self._leases.get(session, ("", 0.0))[0] == owner:
            del self._leases[session]

    async def has_work(self) -> bool:
        return any(known.work for known in self._sessions.values())

    async def abandoned(self) -> list[SessionId]:
        now = self._clock_s()
        held = {session for session, (_, until) in self._leases.items() if until > now}
        return [name for name, known in self._sessions.items() if known.work and name not in held]

    async def delete(self, session: SessionId) -> None:
        if known := self._sessions.get(session):
            self._sessions[session] = _Session(known.generation, seq=known.seq, state="deleted")

    async def ping(self) -> None:
        await anyio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        for subscription in list(self._subscriptions):
            await subscription.aclose()


class MemoryPushSubscription:
    """A push subscription with a bounded number of announcements; those beyond are lost, as on a real one."""

    def __init__(self, forget: Callable[["MemoryPushSubscription"], None], *, buffer: int = 4_096) -> None:
        self._forget: Callable[[MemoryPushSubscription], None] | None = forget
        self._sessions: set[SessionId] = set()
        self._send, self._receive = anyio.create_memory_object_stream[Push | Subscribed](buffer)

    def announce(self, word: Push | Subscribed) -> None:
        if word.session in self._sessions:
            try:
                self._send.send_nowait(word)
            except anyio.WouldBlock:
                return  # the listener's watch finds out

    async def subscribe(self, session: SessionId) -> None:
        self._sessions.add(session)
        self.announce(Subscribed(session))

    async def unsubscribe(self, session: SessionId) -> None:
        self._sessions.discard(session)

    async def pushes(self) -> AsyncGenerator[Push | Subscribed, None]:
        async for word in self._receive:
            yield word

    async def check(self) -> None:
        """There is no connection to lose."""

    async def aclose(self) -> None:
        if self._forget is not None:
            self._forget(self)
            self._forget = None
        self._send.close()
        self._receive.close()


def _refused(session: _Session | None, batch: Batch, size: int, quota: int) -> Outcome | None:
    """The same questions in the same order as in append.lua."""
    if session is None:
        if batch.mode != "create":
            return Outcome(Verdict.NO_SESSION, Seq(0), Seq(0))
        session = _Session()
    seq = session.seq
    if session.state == "deleted":
        return Outcome(Verdict.GONE, Seq(0), seq)
    if sent := _already_sent(session, batch):
        return sent
    if session.state != "live":
        return Outcome(Verdict.SEALED, seq, seq)
    owner = (batch.epoch, batch.producer) == (session.epoch, session.owner)
    if 0 < batch.epoch <= session.epoch and not owner:
        return Outcome(Verdict.FENCED, Seq(session.epoch), seq)
    if batch.expected not in (ANY, seq) or (batch.mode == "create" and seq):
        return Outcome(Verdict.CONFLICT, seq, seq)
    if quota and session.size + size > quota:
        return Outcome(Verdict.QUOTA, seq, seq)
    return None


def _already_sent(session: _Session, batch: Batch) -> Outcome | None:
    number, first, last = session.producers.get(batch.producer, (0, Seq(0), Seq(0)))
    if number and batch.number == number:
        return Outcome(Verdict.DUP, first, last)
    if batch.number < number:
        return Outcome(Verdict.STALE, Seq(number), session.seq)
    if batch.number != number + 1:
        return Outcome(Verdict.PRODUCER_GAP, Seq(number), session.seq)
    return None


def _record(session: _Session, new: NewEvent) -> Recorded:
    session.seq = Seq(session.seq + 1)
    session.ts_ms = max(session.ts_ms, new.ts_ms)
    recorded = Recorded(
        seq=session.seq,
        ts_ms=session.ts_ms,
        turn=new.turn,
        type=new.event.type,
        v=new.event.v,
        data=payload(new.event),
        cause=new.cause,
        audio=new.audio or None,
        size=len(encode(new)[5]),
    )
    session.events.append(recorded)
    if not new.quiet:
        session.work = max(0, session.work + WORK.get(new.event.type, 0))
    return recorded
