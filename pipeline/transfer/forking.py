"""Another way to go on: a session's past up to some event, then other settings or another question."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import anyio

from pipeline.core.clock import Clock, TimeSlice
from pipeline.core.fair_slots import FairPlaces
from pipeline.eventlog.event_log import EventLog
from pipeline.session_state.conversation import Conversation
from pipeline.sessions.catalog import check_readable
from pipeline.sessions.session_commands import Sessions
from pipeline.transfer.bundle_import import endings, ready_narrations, unlinked
from pipeline.transfer.session_copy import write_copy
from schemas.errors import CursorAhead, InputError, LogError, LogLost
from schemas.events import SessionRenamed, SessionStarted, SettingsChanged
from schemas.events.recorded import NewEvent, Recorded
from schemas.ids import Seq, SessionId, TurnId, new_session_id
from schemas.native.client_commands import RequestTurn
from schemas.native.transfer_answers import ForkSession
from schemas.settings import SessionSettings

_PAGE: Final = 200
_WAIT_S: Final = 20.0
_NUMBERED: Final = re.compile(r" \(([1-9]\d?)\)$")
_TITLE: Final = 190
"""Characters of a title that its number follows."""
_ENDS: Final = frozenset({"session.end_requested", "session.ended"})


@dataclass(frozen=True, slots=True)
class Fork:
    """A fork that is in the log."""

    session: SessionId
    head: Seq
    settings: SessionSettings
    parent_seq: Seq
    turn: TurnId | None


class Forks:
    """Forks belong to the one who asks; what they come from is not touched."""

    def __init__(self, log: EventLog, sessions: Sessions, clock: Clock, places: FairPlaces) -> None:
        """`places`: of forks that are made at a time in this process; each holds its session in memory."""
        self._log = log
        self._sessions = sessions
        self._clock = clock
        self._places = places

    async def fork(self, session: SessionId, command: ForkSession, principal: str) -> Fork:
        """A new session whose events up to `command.at` are the old one's, under the same numbers.

        The end of an ended session is not taken over. If the turn that the command asks for is refused, there
        is no fork. Raises GatewayBusy where others are made for long.
        """
        busy = "other forks are being made here; try again"
        async with self._places.soon(principal, wait_s=_WAIT_S, busy=busy):
            return await self._fork(session, command, principal)

    async def _fork(self, session: SessionId, command: ForkSession, principal: str) -> Fork:
        current, head = await self._sessions.view(session)
        at = head.seq if command.at is None else Seq(command.at)
        if at > head.seq:
            raise CursorAhead(f"the session ends at {head.seq}, there is no {at}", field="at")
        past = await _fold(self._log, session, at)
        if past.kind in ("user", "collection", "stream"):
            raise InputError(f"a {past.kind}'s own session cannot be forked", field="session_id")
        settings = command.settings.apply(past.settings)
        changed = settings != past.settings
        await self._sessions.admit(principal, settings if changed else None)
        await check_readable(self._log, command.settings, principal)
        fork = new_session_id()
        origin = {
            "settings": settings,
            "title": _numbered(current.title) if command.title is None else command.title,
            "kind": "session" if past.kind == "narration" else past.kind,
            "principal": principal,
            "parent": session,
            "parent_seq": past.head,
        }
        async with aclosing(_copied(self._log, session, past, origin)) as events:
            news = [SettingsChanged(settings=settings)] if changed else []
            now = self._clock.now_ms()
            whole = _followed(events, [NewEvent(n, now) for n in news])
            charge = partial(self._sessions.charge, principal)
            head_seq = await write_copy(self._log, fork, whole, charge)
        turn = await self._ask(fork, command)
        return Fork(fork, Seq(turn or head_seq), settings, past.head, turn)

    async def _ask(self, fork: SessionId, command: ForkSession) -> TurnId | None:
        if command.prompt is None and command.text is None:
            return None
        try:
            return await self._sessions.request(fork, RequestTurn(prompt=command.prompt, text=command.text))
        except BaseException:
            with anyio.CancelScope(shield=True), suppress(LogError):  # the first failure is told, not this
                await self._log.delete(fork)
            raise


def _numbered(title: str) -> str:
    """The title of a fork: "Tides" becomes "Tides (2)", and that "Tides (3)"."""
    if not title:
        return ""
    found = _NUMBERED.search(title)
    name, number = (title[: found.start()], int(found[1])) if found else (title, 1)
    return f"{name[:_TITLE]} ({number + 1})"


async def _followed(
    events: AsyncGenerator[NewEvent, None], news: list[NewEvent]
) -> AsyncGenerator[NewEvent, None]:
    async for event in events:
        yield event
    for new in news:
        yield new


async def _past(
    log: EventLog, session: SessionId, upto: Seq, *, audio: bool
) -> AsyncGenerator[Recorded, None]:
    """Events up to `upto`, or to the session's end, which is left out."""
    after = Seq(0)
    while after < upto:
        page = await log.read(session, after, limit=min(_PAGE, upto - after), audio=audio)
        if not page:
            raise LogLost(f"the session ends at {after}, not at {upto}")
        for recorded in page:
            if recorded.type in _ENDS:
                return
            yield recorded
        after = page[-1].seq


async def _fold(log: EventLog, session: SessionId, upto: Seq) -> Conversation:
    conversation, slice_ = Conversation(), TimeSlice()
    async with aclosing(_past(log, session, upto, audio=False)) as events:
        async for recorded in events:
            conversation.apply(recorded)
            await slice_.pause_if_over()
    return conversation


async def _copied(
    log: EventLog, session: SessionId, past: Conversation, origin: dict[str, object]
) -> AsyncGenerator[NewEvent, None]:
    """Events from which `past` was folded, begun as `origin` says, with open turns closed."""
    ready = ready_narrations(past)
    async with aclosing(_past(log, session, past.head, audio=True)) as events:
        async for recorded in events:
            event = recorded.event()
            if isinstance(event, SessionStarted):
                event = event.model_copy(update=origin)
            elif isinstance(event, SessionRenamed):
                event = event.model_copy(update={"title": origin["title"]})
            event = unlinked(event, ready)
            yield NewEvent(event, recorded.ts_ms, recorded.turn, recorded.cause, recorded.audio or b"")
    for new in endings(past):
        yield new
