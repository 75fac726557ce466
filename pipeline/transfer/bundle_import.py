"""A checked bundle becomes a session of this server: new id, new owner, the same events, times and sound."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Set
from contextlib import aclosing
from functools import partial
from typing import IO, Final

import anyio.to_thread
import orjson

from pipeline.eventlog.event_log import EventLog
from pipeline.observability.tracer import normal
from pipeline.session_state.conversation import Conversation
from pipeline.transfer.bundle_reader import ReadBundle
from pipeline.transfer.session_copy import write_copy
from schemas.events import (
    Event,
    InputClosed,
    MemberAdded,
    MemberRemoved,
    NarrationFailed,
    NarrationReady,
    NarrationRequested,
    SessionEnded,
    SessionStarted,
    ShareCreated,
    TurnRequested,
    TurnStopped,
)
from schemas.events.recorded import NewEvent, Recorded
from schemas.ids import NOWHERE, Seq, SessionId, new_session_id, parse_session_id

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
    """Check all of the bundle, then write it; the new session, its head and its first event.

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
    async with aclosing(adoption.events()) as events:
        head = await write_copy(log, session, events, charge)
    assert adoption.started is not None
    return session, head, adoption.started


def endings(conversation: Conversation) -> list[NewEvent]:
    """Events that close the turns and the inputs which no process here will finish."""
    ts_ms = conversation.latest_ms
    return [
        *(NewEvent(TurnStopped(reason="forked"), ts_ms, turn.turn) for turn in conversation.unfinished),
        *(
            NewEvent(InputClosed(input=name, ms=state.recorded_ms, reason="cut"), ts_ms)
            for name, state in conversation.inputs.items()
            if not state.closed
        ),
    ]


def ready_narrations(conversation: Conversation) -> Set[SessionId]:
    """Sessions of narrations that can be listened to."""
    return {state.session for state in conversation.narrations.values() if state.status == "ready"}


def unlinked(event: Event, ready: Set[SessionId]) -> Event:
    """Without what only the story itself will be told: of its narrations a copy has those that are ready.

    And without the people who take part in it, and its share links: a copy is its new owner's alone.
    """
    match event:
        case NarrationRequested() | NarrationReady() | NarrationFailed():
            return event if event.session in ready else event.model_copy(update={"session": NOWHERE})
        case MemberAdded() | MemberRemoved():
            return event.model_copy(update={"principal": ""})
        case ShareCreated():
            return event.model_copy(update={"expires_ms": 0})
        case _:
            return event


def _some(source: Iterator[tuple[Recorded, Event]]) -> list[tuple[Recorded, Event]]:
    """The next events, about a megabyte at most."""
    page: list[tuple[Recorded, Event]] = []
    size = 0
    while len(page) < _PAGE and size < _PAGE_BYTES and (pair := next(source, None)) is not None:
        page.append(pair)
        size += len(pair[0].audio or b"") + len(orjson.dumps(pair[0].data))
    return page


class _Adoption:
    """Events of another server on their way into the log of this one."""

    def __init__(self, bundle: ReadBundle, conversation: Conversation, principal: str, mine: Mine) -> None:
        self._bundle = bundle
        self._conversation = conversation
        self._principal = principal
        self._mine = mine
        self._known: dict[str, str] = {}
        self.started: SessionStarted | None = None

    async def events(self) -> AsyncGenerator[NewEvent, None]:
        source, ready = self._bundle.events(), ready_narrations(self._conversation)
        while page := await anyio.to_thread.run_sync(_some, source):
            for recorded, event in page:
                adopted = await self._adopt(unlinked(event, ready))
                yield NewEvent(adopted, recorded.ts_ms, recorded.turn, recorded.cause, recorded.audio or b"")
        conversation = self._conversation
        if conversation.ended:
            return
        for new in endings(conversation):
            yield new
        if conversation.ending:
            yield NewEvent(SessionEnded(reason=conversation.end_reason), conversation.latest_ms)

    async def _adopt(self, event: Event) -> Event:
        """Owner and references are set here, not taken from the sender."""
        match event:
            case SessionStarted():
                self.started = event.model_copy(update=await self._origin(event))
                return self.started
            case NarrationRequested() | NarrationReady() | NarrationFailed():
                return event.model_copy(update={"session": await self._link(event.session)})
            case TurnRequested():
                return event.model_copy(update={"traceparent": normal(event.traceparent)})
            case _:
                return event

    async def _origin(self, event: SessionStarted) -> dict[str, object]:
        parent = None if event.parent is None else await self._link(event.parent)
        kept = parent not in (None, NOWHERE)
        return {
            "principal": self._principal,
            # A narration speaks into its story; cut off from it, it is a session like any other.
            "kind": "session" if event.kind == "narration" else event.kind,
            "parent": parent if kept else None,
            "parent_seq": event.parent_seq if kept else None,
            "imported_from": self._bundle.session,
        }

    async def _link(self, session: str) -> str:
        if session not in self._known:
            named = parse_session_id(session)
            found = session != NOWHERE and named is not None and await self._mine(named)
            self._known[session] = session if found else NOWHERE
        return self._known[session]
