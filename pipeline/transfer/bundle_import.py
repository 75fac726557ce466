"""A checked bundle becomes a session of this server: new id, new owner, the same facts, times and sound."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from functools import partial
from typing import IO, Final

import anyio.to_thread
import orjson

from pipeline.eventlog.event_log import EventLog
from pipeline.observability.traceparent import normal
from pipeline.session_state.conversation import Conversation
from pipeline.transfer.bundle_reader import ReadBundle
from pipeline.transfer.session_copy import write_copy
from schemas.events import (
    Fact,
    InputClosed,
    MemberAdded,
    MemberRemoved,
    NarrationFailed,
    NarrationReady,
    NarrationRequested,
    SessionEnded,
    SessionStarted,
    TurnRequested,
    TurnStopped,
)
from schemas.events.recorded import NewFact, Recorded
from schemas.ids import NOWHERE, Seq, SessionId, new_session_id

_PAGE: Final = 100
_PAGE_BYTES: Final = 1 << 20
Mine = Callable[[SessionId], Awaitable[bool]]
"""Is there such a session here, and is it the importer's own?"""


async def import_bundle(
    log: EventLog,
    file: IO[bytes],
    *,
    max_bytes: int,
    session_bytes: int,
    principal: str,
    mine: Mine,
    charge: Callable[[int], Awaitable[None]] | None = None,
) -> tuple[SessionId, Seq, SessionStarted]:
    """Check all of the bundle, then write it; the new session, its head and its first fact.

    `max_bytes`: of all files together, unpacked. `session_bytes`: what a session may have in the log. Raises
    a BundleInvalid or SessionFull before anything is written, and what `charge` raises, which is asked about
    the bytes of each batch: nothing stays then.
    """
    bundle = await anyio.to_thread.run_sync(
        partial(ReadBundle, file, max_bytes=max_bytes, session_bytes=session_bytes)
    )
    conversation = await anyio.to_thread.run_sync(bundle.check)
    adoption = _Adoption(bundle, conversation, principal, mine)
    session = new_session_id()
    async with aclosing(adoption.facts()) as facts:
        head = await write_copy(log, session, facts, charge)
    assert adoption.started is not None
    return session, head, adoption.started


def endings(conversation: Conversation) -> list[NewFact]:
    """What closes the turns that nobody here will finish, and the inputs that nobody here listens to."""
    ts_ms = conversation.latest_ms
    return [
        *(NewFact(TurnStopped(reason="forked"), ts_ms, turn.turn) for turn in conversation.unfinished),
        *(
            NewFact(InputClosed(input=name, ms=state.recorded_ms, reason="cut"), ts_ms)
            for name, state in conversation.inputs.items()
            if not state.closed
        ),
    ]


def unlinked(fact: Fact, conversation: Conversation) -> Fact:
    """Without what only the story itself will be told: of its narrations a copy has those that are ready.

    And without the people who take part in it: a copy is its new owner's alone.
    """
    match fact:
        case NarrationRequested() | NarrationReady() | NarrationFailed():
            states = conversation.narrations.values()
            ready = any(state.session == fact.session and state.status == "ready" for state in states)
            return fact if ready else fact.model_copy(update={"session": NOWHERE})
        case MemberAdded() | MemberRemoved():
            return fact.model_copy(update={"principal": ""})
        case _:
            return fact


def _some(source: Iterator[tuple[Recorded, Fact]]) -> list[tuple[Recorded, Fact]]:
    """The next facts, about a megabyte at most."""
    page: list[tuple[Recorded, Fact]] = []
    size = 0
    while len(page) < _PAGE and size < _PAGE_BYTES and (pair := next(source, None)) is not None:
        page.append(pair)
        size += len(pair[0].audio or b"") + len(orjson.dumps(pair[0].data))
    return page


class _Adoption:
    """Facts of another server on their way into the log of this one."""

    def __init__(self, bundle: ReadBundle, conversation: Conversation, principal: str, mine: Mine) -> None:
        self._bundle = bundle
        self._conversation = conversation
        self._principal = principal
        self._mine = mine
        self._known: dict[str, str] = {}
        self.started: SessionStarted | None = None

    async def facts(self) -> AsyncGenerator[NewFact, None]:
        source = self._bundle.facts()
        while page := await anyio.to_thread.run_sync(_some, source):
            for recorded, fact in page:
                adopted = await self._adopt(unlinked(fact, self._conversation))
                yield NewFact(adopted, recorded.ts_ms, recorded.turn, recorded.cause, recorded.audio or b"")
        conversation = self._conversation
        if conversation.ended:
            return
        for new in endings(conversation):
            yield new
        if conversation.ending:
            yield NewFact(SessionEnded(reason=conversation.end_reason), conversation.latest_ms)

    async def _adopt(self, fact: Fact) -> Fact:
        """Whose it is, and what it points to, is not the sender's to say."""
        match fact:
            case SessionStarted():
                self.started = fact.model_copy(update=await self._origin(fact))
                return self.started
            case NarrationRequested() | NarrationReady() | NarrationFailed():
                return fact.model_copy(update={"session": await self._link(fact.session)})
            case TurnRequested():
                return fact.model_copy(update={"traceparent": normal(fact.traceparent)})
            case _:
                return fact

    async def _origin(self, fact: SessionStarted) -> dict[str, object]:
        parent = None if fact.parent is None else await self._link(fact.parent)
        kept = parent not in (None, NOWHERE)
        return {
            "principal": self._principal,
            # A narration speaks into its story; cut off from it, it is a session like any other.
            "kind": "session" if fact.kind == "narration" else fact.kind,
            "parent": parent if kept else None,
            "parent_seq": fact.parent_seq if kept else None,
            "imported_from": self._bundle.session,
        }

    async def _link(self, session: str) -> str:
        if session not in self._known:
            found = session != NOWHERE and await self._mine(SessionId(session))
            self._known[session] = session if found else NOWHERE
        return self._known[session]
