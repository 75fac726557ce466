"""Owner that runs a session's turns: one at a time, by lease and epoch, fed by the session's own log."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

import anyio

from pipeline.admission.allowance import Allowance
from pipeline.admission.concurrency_limiter import ConcurrencyLimiter, Wait
from pipeline.admission.engine_backpressure import EngineBackpressure
from pipeline.core.clock import Clock
from pipeline.engines.ports import is_ours
from pipeline.eventlog.event_log import EventLog, Head, Tail
from pipeline.eventlog.recorder import Recorder, SessionWriter
from pipeline.eventlog.tailer import Tailer
from pipeline.observability.tracer import Tracing
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.llm_context import history
from pipeline.session_state.session_views import SessionViews, advance, fold
from pipeline.session_state.turn_state import TurnState
from pipeline.sessions.owner_leases import Leases
from pipeline.tts.sentence_synthesizer import FirstAudioPriority
from pipeline.tts.turn_checkpoint import progress
from pipeline.turn.earlier_reading import EarlierReading
from pipeline.turn.generation import Engines
from pipeline.turn.turn import Turn, TurnPlan
from schemas.errors import InputTooLong, RhapsodeError, SessionFull, SessionGone, SessionNotFound
from schemas.events import OwnerChanged, SessionEnded, TurnFailed, TurnStopped
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, TurnId
from schemas.settings import SessionSettings
from schemas.settings.limit_settings import LimitSettings
from schemas.settings.provider_settings import LOCAL

log = logging.getLogger(__name__)

_STALLED_AT_MOST = 5
"""A turn that so many owners died on in a row, without a word, is given up: it may be what they died of."""
_LINGER_S = 10.0
"""An owner without work keeps the session this long, so that the next turn starts at once."""


@dataclass(frozen=True, slots=True)
class OwnerServices:
    """Services that all owners of a process share."""

    log: EventLog
    recorder: Recorder
    tailer: Tailer
    models: Engines
    clock: Clock
    limits: LimitSettings
    history_chars: int = 4_000
    """Of earlier turns that the language model is told."""
    history_chars_of: Mapping[str, int] = field(default_factory=dict)
    """The same where a provider answers that can be told more, or less."""
    allowance: Allowance | None = None
    """Told how much was spoken; None: nobody counts."""
    tracing: Tracing | None = None
    """None: nothing is traced."""
    backpressure: EngineBackpressure | None = None
    """Says whether one more turn can be taken; None: always."""
    views: SessionViews | None = None
    """Views that this process has of sessions already; None: every owner begins with the first event."""


def planned(
    session: SessionId, state: TurnState, conversation: Conversation, services: OwnerServices
) -> TurnPlan:
    room = services.history_chars_of.get(state.settings.llm_provider or LOCAL, services.history_chars)
    history_room = room // 2 if state.settings.collections else room  # passages want their share
    return TurnPlan(
        turn=state.turn,
        asked_by=(state.by or conversation.principal) if conversation.principal else "",
        kind=state.kind,
        text=state.text,
        settings=state.settings,
        history=history(conversation, before=state.turn, room=history_room),
        requested_ms=state.requested_ms,
        given=state.given,
        marks=state.marks,
        room=room,
        session=session,
        traceparent=state.traceparent,
        tells_result=state.result_of is not None,
        whole_sentences=(
            state.given is None
            and not conversation.items.managed
            and state.settings.sampling.json_schema is None
        ),
        progress=progress(state),
    )


async def earlier_reading(
    state: TurnState, conversation: Conversation, services: OwnerServices
) -> EarlierReading | None:
    """The reading whose sound the turn keeps; None where there is none, or it is another user's or text's."""
    if state.keeps is None or services.views is None:
        return None
    session = SessionId(state.keeps.session)
    try:
        earlier, _ = await services.views.get(session)
    except (SessionNotFound, SessionGone):
        return None
    turn = earlier.turns.get(TurnId(state.keeps.turn))
    if turn is None or earlier.principal != conversation.principal or turn.answer != state.text:
        return None
    return EarlierReading(services.log, session, turn, state.keeps.again)


class FirstAudioProbe:
    """Of one turn; without somebody to tell, nothing."""

    def __init__(
        self,
        limiter: ConcurrencyLimiter | None = None,
        wait: Wait | None = None,
        heard: Callable[[], None] = lambda: None,
    ) -> None:
        self._limiter = limiter
        self._wait = wait
        self._heard = heard

    def see(self, state: TurnState, *, held: bool) -> None:
        """The turn as it stands now; what is held back on purpose is not late, and nobody waits for it."""
        if held or state.first_audio_ms is not None:
            self._heard()
        if self._limiter is None or self._wait is None:
            return
        if _begun(state):
            self._limiter.answered(self._wait)
        elif held:
            self._limiter.dropped(self._wait)


@contextmanager
def first_answer(services: OwnerServices, state: TurnState, *, after_ms: int) -> Iterator[FirstAudioProbe]:
    """Until the turn is over in the log.

    `after_ms` (wall clock): what it had to wait for a turn before it does not count. Turns that somebody
    else has begun, that are not shown before they are whole, that may wait for a library to start, or that
    are answered or spoken elsewhere are not judged: they only take room.
    """
    if services.backpressure is None:
        yield FirstAudioProbe()
        return
    limiter, now_ms = services.backpressure.limiter, services.clock.now_ms()
    waited_s = max(0, now_ms - max(state.requested_ms, after_ms)) / 1_000
    with limiter.turn(_kind(state), waited_s) as wait, services.backpressure.priority.awaited() as heard:
        if not _comparable(state):
            limiter.dropped(wait)
        if not takes_our_voice(state.settings) or state.first_audio_ms is not None:
            heard()
        yield FirstAudioProbe(limiter, wait, heard)


def takes_our_voice(settings: SessionSettings) -> bool:
    """To be heard while it is made."""
    return settings.speak and is_ours(settings.tts_provider) and settings.listening.mode != "legacy"


def _goes_on(recorded: Recorded) -> bool:
    """More of a text or a sentence's sound after its first piece: nothing follows from it for its owner."""
    place = {"text.delta": "at", "audio.chunk": "chunk"}.get(recorded.type)
    return place is not None and recorded.data[place] > 0


def _comparable(state: TurnState) -> bool:
    settings = state.settings
    ours = is_ours(settings.llm_provider) and is_ours(settings.tts_provider) and not settings.collections
    return ours and state.status == "requested" and settings.listening.mode != "legacy"


def _begun(state: TurnState) -> bool:
    return state.first_audio_ms is not None if state.settings.speak else bool(state.parts)


def _kind(state: TurnState) -> str:
    """Turns that take equally long to begin where nothing is in their way, more or less."""
    made = "read" if state.kind == "text" else "answered"
    return f"{made}, {'spoken' if state.settings.speak else 'shown'}"


class SessionOwner:
    """Runs one session's turns, one after the other, until there is nothing left to do.

    It learns of commands only from the log, so it does not matter which replica received them.
    """

    def __init__(self, session: SessionId, name: str, services: OwnerServices, leases: Leases) -> None:
        self.session = session
        self.closing = False
        self._name = name
        self._services = services
        self._leases = leases
        self._conversation = Conversation()
        self._expected = Seq(0)
        self._changed = anyio.Event()
        self._turn: Turn | None = None
        self._first = FirstAudioProbe()
        self._free_ms = 0
        """When the turn before was over here, wall clock."""
        self._settled: set[TurnId] = set()
        self._epoch = 0
        self._begin = Seq(0)
        """Place of our first event after a takeover: until then the owner before us may have written."""
        self._refused = False
        self._gone = False
        self._leaving = False
        self._duties: anyio.CancelScope | None = None
        self._over = anyio.Event()

    @property
    def principal(self) -> str:
        """The session's; empty before its first event was read."""
        return self._conversation.principal

    @property
    def busy(self) -> bool:
        """A turn is running."""
        return self._turn is not None

    @property
    def occupied(self) -> bool:
        """There is work for it, or it has not looked yet."""
        return not self.closing and (self._epoch == 0 or self._conversation.has_work)

    @property
    def expected(self) -> Seq:
        return self._expected

    @property
    def is_needed(self) -> bool:
        """There is work left, as far as it knows, and nobody else at it."""
        conversation = self._conversation
        return (
            not self._refused
            and not self._gone
            and not conversation.ended
            and (conversation.has_work or conversation.head < self._expected)
        )

    def expect(self, seq: Seq) -> None:
        """There is a command at `seq`: do not leave before it was seen."""
        self._expected = max(self._expected, seq)

    async def run(self) -> None:
        """Take the lease, do the work, give the lease back; nothing is left to do once it is deleted.

        Returns at once while somebody else holds the lease: should they die or leave work behind,
        `Owners` finds the session again.
        """
        views = self._services.views
        known = Seq(0) if views is None else views.known(self.session)
        held = True  # also where the log took the lease and its answer was lost
        try:
            tail = await self._leases.take(self.session, self._name, known)
            held = tail is not None
            if tail is None or self._leaving:  # told to go meanwhile: somebody else may have it at once
                self._refused = True
                return
            async with anyio.create_task_group() as duties:
                self._duties = duties.cancel_scope
                with self._leases.keep(self.session, self._name, duties.cancel_scope):
                    await self._own(tail)
                duties.cancel_scope.cancel()
        except* SessionGone:
            self._gone = True
            log.info("session %s was deleted while it was owned", self.session)
        finally:
            self.closing = True
            try:
                if held:
                    await self._let_go()
            finally:
                self._services.recorder.put_away(self.session, producer=self._name, epoch=self._epoch)
                self._over.set()

    async def _let_go(self) -> None:
        with anyio.move_on_after(2, shield=True):
            if self._leaving and self._epoch:
                with suppress(RhapsodeError):
                    await self._writer.drain()  # sound of this gateway is in the log before another goes on
            await self._leases.give_back(self.session, self._name)

    async def hand_over(self, patience_s: float) -> None:
        """Begin no further sentence, and give the session back when the one that is being said is over."""
        self._leaving = True
        with anyio.move_on_after(patience_s):
            if self._turn is not None:
                await self._turn.stop_synthesis()
        if self._duties is not None:
            self._duties.cancel()
            await self._over.wait()

    async def _catch_up(self, tail: Tail) -> Head | None:
        """Folds the events that the log has; returns the head, None where there is no such session."""
        log, views = self._services.log, self._services.views
        head = tail.head or (await log.heads([self.session]))[0]  # an archive may have it
        if head is None:
            return None
        known = None if views is None else await views.copied(self.session)
        if known is not None and known.head <= head.seq:
            self._conversation = known
        await advance(self._conversation, tail.events)
        await fold(log, self.session, self._conversation, upto=head.seq)
        return head

    async def _own(self, tail: Tail) -> None:
        head = await self._catch_up(tail)
        if self._conversation.ended:
            return
        self._epoch = 1 if head is None else head.epoch + 1
        async with (
            self._services.tailer.follow(
                self.session, self._conversation.head, head=head, can_wait=_goes_on
            ) as batches,
            anyio.create_task_group() as work,
        ):
            if self._epoch > 1:
                await self._take_over()
            await self._reconcile()
            work.start_soon(self._run_turns, work.cancel_scope)
            async for batch in batches:
                for recorded in batch:
                    self._conversation.apply(recorded)
                await self._reconcile()
                self._changed.set()
                self._changed = anyio.Event()
            work.cancel_scope.cancel()

    @property
    def _writer(self) -> SessionWriter:
        """This owner's pen: the same one until it fails, then a fresh one."""
        return self._services.recorder.open(self.session, producer=self._name, epoch=self._epoch)

    async def _take_over(self) -> None:
        """Fences off the owner before us: until our epoch is in the log it may go on with its turn."""
        self._begin = (await self._writer.commit(OwnerChanged(epoch=self._epoch, node=self._name))).last
        log.info("session %s is taken over", self.session)

    async def _fail(self, turn: TurnId, code: str, message: str) -> None:
        self._settled.add(turn)
        failed = TurnFailed(stage="owner", code=code, message=message, retryable=True)
        await self._writer.commit(failed, turn=turn)

    async def _run_turns(self, scope: anyio.CancelScope) -> None:
        conversation = self._conversation
        while conversation.head < self._begin:
            await self._changed.wait()
        for state in conversation.unfinished:
            if state.stalled >= _STALLED_AT_MOST:
                await self._fail(state.turn, "owner.lost", "every replica that ran this turn went away")
        while True:
            waiting = [turn for turn in conversation.unfinished if turn.turn not in self._settled]
            if waiting and not conversation.ending:
                await self._run_turn(waiting[0])
            elif conversation.ending and not conversation.unfinished:
                await self._writer.commit(SessionEnded(reason=conversation.end_reason))
                return
            elif not await self._news_within(_LINGER_S) and conversation.head >= self._expected:
                self.closing = True
                scope.cancel()
                return

    async def _news_within(self, seconds: float) -> bool:
        with anyio.move_on_after(seconds):
            await self._changed.wait()
            return True
        return False

    def _priority(self, settings: SessionSettings) -> FirstAudioPriority | None:
        """None: another voice has nothing of it, and whoever has asked for one answer waits for its end."""
        backpressure = self._services.backpressure
        polite = self._conversation.kind != "completion" and takes_our_voice(settings)
        return backpressure.priority if backpressure is not None and polite else None

    async def _run_turn(self, state: TurnState) -> None:
        services = self._services
        plan = planned(self.session, state, self._conversation, services)
        self._settled.add(state.turn)
        plan = replace(plan, earlier=await earlier_reading(state, self._conversation, services))
        self._turn = Turn(
            plan,
            self._writer,
            services.models,
            services.clock,
            sentences_ahead=services.limits.sentences_ahead,
            priority=self._priority(plan.settings),
        )
        with first_answer(services, state, after_ms=self._free_ms) as self._first:
            try:
                await self._reconcile()
                await self._turn.run(epoch=self._epoch, node=self._name)
            except (SessionFull, InputTooLong) as full:  # the next owner would come to the same end
                await self._fail(state.turn, full.code, str(full))
            finally:
                self._turn = None
                self._free_ms = services.clock.now_ms()
            while not state.over:
                await self._changed.wait()
            self._first.see(state, held=False)  # a short one is over before its beginning was looked at
        if services.allowance is not None:
            made_ms, principal = state.audio_ms, self._conversation.principal
            if plan.earlier is not None:
                made_ms -= plan.earlier.kept_ms
                await services.allowance.unasked(principal, plan.earlier.kept_bytes)
            await services.allowance.spoken(principal, made_ms)

    async def _reconcile(self) -> None:
        """Bring what runs in line with what was asked; doing it twice changes nothing."""
        conversation = self._conversation
        if conversation.head < self._begin:
            return
        for state in conversation.unfinished:
            reason = "session_ended" if conversation.ending else state.stopping
            if self._turn is not None and self._turn.plan.turn == state.turn:
                self._first.see(state, held=conversation.paused or self._leaving)
                if reason is not None:
                    self._turn.stop(reason)
                for sentence in state.skips:
                    self._turn.skip(sentence)
                if conversation.paused or self._leaving:
                    self._turn.pause()
                else:
                    self._turn.resume()
            elif reason is not None and state.turn not in self._settled:
                self._settled.add(state.turn)
                await self._writer.record(TurnStopped(reason=reason), turn=state.turn)
