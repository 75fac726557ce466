"""A new session written from events that exist already: all of them, or no session at all."""

import secrets
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from typing import Final

import anyio

from pipeline.eventlog.event_log import Batch, EventLog, Verdict
from pipeline.eventlog.producer_queue import Mode, refusal
from pipeline.eventlog.redis.codec import encode, size_of
from schemas.errors import Conflict, RhapsodeError
from schemas.events.recorded import NewEvent
from schemas.ids import Seq, SessionId, created_ms, generation

BATCH_EVENTS: Final = 128
BATCH_BYTES: Final = 256 << 10
LEASE_MS: Final = 60_000
_LOUD: Final = frozenset({"session.started", "session.ended"})
"""Triggers of a copy for the workers: its creation and its end."""


async def write_copy(
    log: EventLog,
    session: SessionId,
    events: AsyncIterable[NewEvent],
    charge: Callable[[int], Awaitable[None]] | None = None,
) -> Seq:
    """Write `events`, the first of which is session.started, as the new `session`; its head.

    Times and causes stay. Workers and owners do not take the past for news. If anything goes wrong, `events`
    itself included, what was written is deleted and the error raised. `charge` is asked about the bytes of
    each batch, and refuses by raising.
    """
    copy = _Copy(log, session, charge)
    try:
        async for new in events:
            await copy.add(new)
        await copy.flush()
    except BaseException:
        with anyio.CancelScope(shield=True):
            await copy.undo()
        raise
    await log.release(session, copy.who)
    return copy.head


class _Copy:
    """Holds the session's lease for as long as it writes, so that no owner begins to work on half of it."""

    def __init__(
        self, log: EventLog, session: SessionId, charge: Callable[[int], Awaitable[None]] | None
    ) -> None:
        self._log = log
        self._charge = charge
        self._session = session
        self._waiting: list[NewEvent] = []
        self._bytes = 0
        self._number = 0
        self._tried = False
        self.head = Seq(0)
        self.who = f"copy.{secrets.token_hex(8)}"

    async def add(self, new: NewEvent) -> None:
        kind = new.event.type
        quiet = kind not in _LOUD
        self._waiting.append(NewEvent(new.event, new.ts_ms, new.turn, new.cause, new.audio, quiet=quiet))
        self._bytes += size_of([encode(new)])
        if self.head == 0 or len(self._waiting) >= BATCH_EVENTS or self._bytes >= BATCH_BYTES:
            await self.flush()

    async def flush(self) -> None:
        if not self._waiting:
            return
        if self._charge is not None:
            await self._charge(self._bytes)
        if not await self._log.acquire(self._session, self.who, LEASE_MS):
            raise Conflict("another process has begun to work on the copy")
        self._tried = True
        [outcome] = await self._log.append([self._batch(self._waiting)])
        if outcome.verdict not in (Verdict.OK, Verdict.DUP):
            raise refusal(outcome.verdict)
        self._number += 1
        self.head = outcome.last
        self._waiting, self._bytes = [], 0

    def _batch(self, events: Sequence[NewEvent]) -> Batch:
        mode: Mode = "create" if self.head == 0 else "append"
        if events[-1].event.type == "session.ended":
            mode = "seal"
        return Batch(
            session=self._session,
            producer=self.who,
            number=self._number + 1,
            events=events,
            expected=self.head,
            mode=mode,
            generation=generation(created_ms(self._session)),
        )

    async def undo(self) -> None:
        """As far as the log can be reached; what is left of it then, its idle reaper closes."""
        try:
            if self._tried:
                await self._log.delete(self._session)
            await self._log.release(self._session, self.who)
        except RhapsodeError:
            return
