"""The commands of a session: checked against its state, recorded as events, acted on by its owner."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Final, Self
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from pipeline.admission.allowance import Allowance
from pipeline.core.clock import Clock
from pipeline.engines.ports import spoken_languages
from pipeline.eventlog.event_log import ANY, Head, Verdict
from pipeline.eventlog.recorder import Recorder, RequestContext
from pipeline.eventlog.redis.codec import bytes_of
from pipeline.eventlog.tailer import Tailer
from pipeline.observability.tracer import CALLER
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.session_views import SessionViews
from pipeline.sessions.catalog import Catalog, check_readable, with_readable, with_user_dictionary
from pipeline.sessions.owner_pool import OwnerPool
from pipeline.tts.sentence_language import usual_language
from pipeline.tts.ssml import is_ssml, parse
from schemas.errors import (
    Conflict,
    InputTooLong,
    LogUnavailable,
    RhapsodeError,
    SessionAlreadyEnded,
    SessionGone,
    TurnNotFound,
)
from schemas.errors.access_errors import Forbidden, LimitReached, StoredQuota
from schemas.events import (
    EndReason,
    Event,
    Kind,
    PlaybackEnded,
    PlaybackFlushed,
    SessionEndRequested,
    SessionRenamed,
    SessionStarted,
    SettingsChanged,
    TurnRequested,
    TurnStopRequested,
)
from schemas.events.voice_events import PlaybackHeard
from schemas.ids import Seq, SessionId, TurnId, created_ms, generation, new_session_id
from schemas.languages import AUTO, is_language, language_tag
from schemas.native.client_commands import (
    AcknowledgePlayback,
    Control,
    CreateSession,
    RequestTurn,
    SettingsPatch,
)
from schemas.settings import SessionSettings
from schemas.settings.model_settings import GivenMessage
from schemas.speech_style import SpeechMark

log = logging.getLogger(__name__)

_EVERY_S: Final = 0.5
_LATEST_TURNS: Final = 16
"""Turns whose language is looked for where that of a question is in doubt."""
SETTLE_S: Final = 10.0
"""As long as the log's own patience."""
_Heard = tuple[SessionId, TurnId]


class HeardLedger:
    """An async context manager. Of a turn at most two events a second are recorded, the last one always is.

    All of a session come from one producer: the log remembers the latest batch of every producer for ever.
    """

    def __init__(self, recorder: Recorder, clock: Clock) -> None:
        self._recorder = recorder
        self._clock = clock
        self._waiting: dict[_Heard, int | None] = {}
        """Of turns that were recorded lately: what was said since then."""
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._tasks is not None
        for session in {session for session, _ in self._waiting}:
            await self.flush(session)
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, error, trace)

    def records(self, session: SessionId, turn: TurnId) -> bool:
        """Whether an event follows from the next report: where one waits for its time, they are one."""
        return self._waiting.get((session, turn)) is None

    async def note(self, session: SessionId, turn: TurnId, heard_ms: int) -> None:
        """Raises what the log has against the session."""
        heard = session, turn
        if heard in self._waiting:
            self._waiting[heard] = max(heard_ms, self._waiting[heard] or 0)
            return
        assert self._tasks is not None
        self._waiting[heard] = heard_ms
        self._tasks.start_soon(self._go_on, heard)
        await self._record(heard)

    async def flush(self, session: SessionId) -> None:
        """Everything that was said of its turns is on its way into the log."""
        for heard in [heard for heard in self._waiting if heard[0] == session]:
            try:
                await self._record(heard)
            except RhapsodeError as error:
                log.info("session %s: what was heard is not recorded: %s", session, error)

    async def settle(self, session: SessionId) -> None:
        """Everything that was said of its turns is in the log. Raises LogUnavailable when patience is out."""
        try:
            with anyio.fail_after(SETTLE_S):
                await self.flush(session)
                await self._recorder.open(session, producer="heard").drain()
        except TimeoutError as error:
            raise LogUnavailable("The log does not answer.") from error

    async def _go_on(self, heard: _Heard) -> None:
        try:
            await self._clock.sleep(_EVERY_S)
            while self._waiting[heard] is not None:
                await self._record(heard)
                await self._clock.sleep(_EVERY_S)
        except RhapsodeError as error:
            log.info("session %s: what was heard is not recorded: %s", heard[0], error)
        finally:
            del self._waiting[heard]

    async def _record(self, heard: _Heard) -> None:
        session, turn = heard
        heard_ms = self._waiting.get(heard)  # another task may have found it finished meanwhile
        if heard_ms is not None:
            self._waiting[heard] = None
            writer = self._recorder.open(session, producer="heard")
            await writer.record(PlaybackHeard(heard_ms=heard_ms), turn=turn)


_FIRST_WORDS = 40
"""Characters of an answer to a spoken question that are spoken at once, clause or not."""
_GUESTS = frozenset({"speak", "search", "collections"})
"""Settings that somebody else may choose for a turn of their own."""
_KEYS_KEPT = 4_096
_PLAYBACKS = 16
"""Reports of listeners about one turn that are recorded."""
_UNSPOKEN: Final = frozenset({"user", "collection", "stream"})
"""Kinds of sessions that have no turns."""
_END_S = 5.0
"""How long a deletion waits for the session's owner to end it properly."""


@dataclass(frozen=True, slots=True)
class SpokenQuestion:
    """A question that was spoken."""

    text: str
    input: str
    utterances: tuple[int, ...]
    merges: TurnId | None = None
    language: str = ""
    """As speech to text tells it, which may be any text; empty: it does not."""


class Overtaken(Exception):
    """The turn that a question takes up is being answered already."""


def check_guest(params: SettingsPatch, settings: SessionSettings) -> None:
    """Checks that a guest changes only the settings that guests may. Raises Forbidden."""
    beyond = params.model_fields_set - _GUESTS
    if beyond or not set(params.collections) <= set(settings.collections):
        name = min(beyond, default="collections")
        raise Forbidden(f"only who made the session may choose its {name}", field=f"settings.{name}")


def check_length(text: str, longest: int, *, field: str) -> None:
    if len(text) > longest:
        raise InputTooLong(f"{len(text)} characters are too many; at most {longest} are taken", field=field)


def conversational(settings: SessionSettings, language: str = "") -> SessionSettings:
    """Returns settings that cut the first sentence sooner, as a spoken turn waits for the first audio.

    `language` is that of the question as it was heard, which an automatic session answers in.
    """
    sentences = settings.sentences
    if settings.language == AUTO and is_language(language):
        settings = settings.model_copy(update={"language": language_tag(language)})
    if sentences.first_threshold is not None:
        return settings
    sooner = sentences.model_copy(update={"first_threshold": _FIRST_WORDS})
    return settings.model_copy(update={"sentences": sooner})


def in_a_language(
    settings: SessionSettings, text: str, conversation: Conversation, choices: Catalog
) -> SessionSettings:
    """Settings of a turn, where "auto" has become a language: in doubt that of the turn before it."""
    if settings.language != AUTO:
        return settings
    latest = islice(reversed(conversation.turns.values()), _LATEST_TURNS)
    before = (turn.settings.language for turn in latest)
    in_doubt = next((tag for tag in before if tag != AUTO), choices.usual_language)
    spoken = spoken_languages(choices.speakers)
    language = usual_language(AUTO, text, spoken, in_doubt=in_doubt)
    return settings.model_copy(update={"language": language}) if is_language(language) else settings


class Sessions:
    """Commands on sessions. When a method returns, the command's event is in the log."""

    def __init__(
        self,
        views: SessionViews,
        recorder: Recorder,
        tailer: Tailer,
        owners: OwnerPool,
        ledger: HeardLedger,
        *,
        allowance: Allowance,
        choices: Catalog,
    ) -> None:
        self._views = views
        self._recorder = recorder
        self._tailer = tailer
        self._owners = owners
        self._ledger = ledger
        self._limits = allowance.settings
        self._allowance = allowance
        self.choices = choices
        self._commands: WeakValueDictionary[SessionId, anyio.Lock] = WeakValueDictionary()
        """Held while a command is checked and recorded, so that two cannot pass the same check."""
        self._asked: OrderedDict[tuple[SessionId, str | None], TurnId] = OrderedDict()
        """Keys seen lately: a repeat is answered even when a new request would be refused."""

    async def view(self, session: SessionId, seen: Head | None = None) -> tuple[Conversation, Head]:
        """As `Views.get`. Raises SessionNotFound or SessionGone."""
        return await self._views.get(session, seen)

    async def glance(self, session: SessionId) -> Conversation:
        """The session's state as of a moment ago, recorded sound left out. Raises as `view`.

        Where the session is followed in this process, the log is asked only if it has announced something.
        """
        news = self._tailer.news(session)
        recent = None if news is None else self._views.recent(session, news)
        return (await self._views.get(session))[0] if recent is None else recent

    async def attend(self, session: SessionId) -> tuple[Conversation, Head]:
        """Returns the session's state for a new listener, and offers its work to an owner if it has any."""
        conversation, head = await self._views.get(session)
        if conversation.has_work:
            self._owners.offer(session, conversation.head)
        return conversation, head

    async def create(
        self,
        command: CreateSession,
        *,
        kind: Kind = "session",
        principal: str = "",
        parent: SessionId | None = None,
        also: Sequence[Event] = (),
    ) -> tuple[SessionId, str, Seq, SessionSettings]:
        """The new session's id, generation, head and settings. `also`: what is recorded at once with it."""
        settings = command.settings.apply(self.choices.defaults)
        if kind not in _UNSPOKEN and self.choices.dictionary_of is not None:
            settings = with_user_dictionary(settings, await self.choices.dictionary_of(principal))
        if kind not in _UNSPOKEN:
            self.check_admission(principal)  # before there is anything: without its turn it is of no use
        await self._check(settings, principal)
        if kind != "completion":  # one for each request: its turns are what is counted
            await self.admit(principal)
        await check_readable(self._views.log, command.settings, principal)
        session = new_session_id()
        event = SessionStarted(
            settings=settings, title=command.title, kind=kind, principal=principal, parent=parent
        )
        outcome = await self._recorder.post(session, event, *also, mode="create", by=principal)
        return session, generation(created_ms(session)), outcome.last, settings

    def check_admission(self, principal: str) -> None:
        """Admits a new session. Raises GatewayBusy."""
        self._owners.admit(principal)

    async def readable(self, settings: SessionSettings, principal: str) -> SessionSettings:
        """Without the collections that this principal does not have (any more)."""
        return await with_readable(self._views.log, settings, principal)

    async def admit(self, principal: str, settings: SessionSettings | None = None) -> None:
        """May they have one more session, with these settings if they are new?"""
        if settings is not None:
            await self._check(settings, principal)
        await self._allowance.session(principal)

    async def _check(
        self, settings: SessionSettings, principal: str, before: SessionSettings | None = None
    ) -> SessionSettings:
        """The same settings, `before` without a change. Raises what `Catalog` does."""
        self.choices.check(settings, before)
        self.choices.check_reserved(settings, principal)
        await self.choices.check_schemas(settings, principal)
        return settings

    async def charge(self, principal: str, size: int) -> None:
        """So many bytes are about to be written for them. Raises WriteLimit or StoredQuota."""
        await self._allowance.written(principal, size)

    async def request(
        self,
        session: SessionId,
        command: RequestTurn,
        *,
        given: tuple[GivenMessage, ...] | None = None,
        by: str = "",
        narrate: bool | None = None,
        before: Sequence[Event | RequestContext] = (),
        seen: Head | None = None,
    ) -> TurnId:
        """Ask for a turn; the same key asks for the same turn.

        `given`: all that the model is told, the question with it, instead of what the session has. `by`: who
        of several people asks. `narrate`: of a scene, whether it is read out by itself once it is complete.
        `before` is recorded with it, all or nothing. `seen`: see `Views.get`.
        """
        self._check_length(command)
        if asked := self._asked.get((session, command.key)):
            return asked
        async with self._commands.setdefault(session, anyio.Lock()):
            conversation, _ = await self._views.get(session, seen)
            try:
                params = await self._requested(conversation, command, given=given, by=by)
                params = params.model_copy(update={"narrate": narrate})
                turn = await self._ask(session, conversation, params, *before, key=command.key)
            except LogUnavailable:
                raise
            except RhapsodeError:
                taken = None if command.key is None else await self._recorder.posted(session, command.key)
                if taken is None:
                    raise
                turn = TurnId(taken)  # another gateway took it, before it could no longer be taken
        if command.key is not None:
            self._asked[session, command.key] = turn
            while len(self._asked) > _KEYS_KEPT:
                self._asked.popitem(last=False)
        return turn

    def _check_length(self, command: RequestTurn) -> None:
        field = "text" if command.kind == "text" else "prompt"
        longest = self._limits.text_chars if command.kind == "text" else self._limits.prompt_chars
        check_length(command.content, longest, field=field)

    async def check_first(self, command: RequestTurn, principal: str) -> None:
        """Checks a request for which a session is to be made. Raises what `request` would refuse it with, but
        for what the principal has no room or time for at present."""
        self._check_length(command)
        conversation = Conversation()
        conversation.principal, conversation.settings = principal, self.choices.defaults
        bytes_of(await self._requested(conversation, command, given=None, by=""))

    async def _requested(
        self,
        conversation: Conversation,
        command: RequestTurn,
        *,
        given: tuple[GivenMessage, ...] | None,
        by: str,
    ) -> TurnRequested:
        """The event that the command asks for. Raises what its settings are refused with."""
        settings = await self._check(
            command.settings.apply(conversation.settings),
            by or conversation.principal,
            conversation.settings,
        )
        await check_readable(self._views.log, command.settings, conversation.principal)
        by = "" if by == conversation.principal else by
        if by and conversation.principal:
            check_guest(command.settings, conversation.settings)
        text = command.content
        marks: tuple[SpeechMark, ...] = ()
        if command.kind == "text" and is_ssml(text):
            text, marks = await anyio.to_thread.run_sync(parse, text)  # 0.1 s for a long one
        return TurnRequested(
            kind=command.kind,
            text=text,
            marks=marks,
            settings=settings,
            given=given,
            by=by,
            replaces=command.replaces,
            continues=command.continues,
        )

    async def decide(
        self, session: SessionId, decision: Callable[[Conversation], Sequence[Event | RequestContext]]
    ) -> Seq:
        """Record what `decision` makes of the session as it is now, if anything; it refuses by raising."""
        async with self._commands.setdefault(session, anyio.Lock()):
            conversation, _ = await self._views.get(session)
            if conversation.ended or conversation.ending:
                raise SessionAlreadyEnded("this session has ended; create a new one")
            events = decision(conversation)
            if not events:
                return conversation.head
            outcome = await self._recorder.post(session, *events, by=conversation.principal)
            self._views.wrote(session, outcome.last)
            return outcome.last

    async def _ask(
        self,
        session: SessionId,
        conversation: Conversation,
        params: TurnRequested,
        *before: Event | RequestContext,
        key: str | None,
    ) -> TurnId:
        """Record the wish, and `before` it what led to it, all or nothing."""
        await self.all_heard(session)
        settings = await self.readable(params.settings, conversation.principal)
        settings = in_a_language(settings, params.text, conversation, self.choices)
        params = params.model_copy(update={"settings": settings, "traceparent": CALLER.get()})
        most = self._limits.queued_turns
        event, seen = conversation.request(params, queue_limit=most), conversation.head
        self._owners.admit(conversation.principal, conversation.latest_ms)
        plain = [each.event if isinstance(each, RequestContext) else each for each in before]
        size = bytes_of(*plain, event)
        await self._allowance.turn(conversation.principal, params.chars, size=size)
        while True:
            # In a chat another version takes away what follows: no question may come between unseen, nor
            # between an answer and what goes on with it.
            takes_away = event.replaces is not None and conversation.kind != "story"
            with suppress(Conflict):
                expected = seen if takes_away or event.continues is not None else ANY
                outcome = await self._recorder.post(session, *before, event, key=key, expected=expected)
                break
            conversation, _ = await self._views.get(session)
            event, seen = conversation.request(event, queue_limit=most), conversation.head
        if outcome.verdict is Verdict.DUP:  # another gateway took it, and has charged for it
            await self._allowance.repeated(conversation.principal, params.chars, size=size)
        self._views.wrote(session, outcome.last)
        self._owners.wake(session, outcome.last)
        return TurnId(outcome.last)

    async def say(self, session: SessionId, said: SpokenQuestion, *before: Event, key: str) -> TurnId:
        """Ask what was said, in the session's own settings. `before` is recorded with it, all or nothing.

        Raises InputTooLong, StateError, what the settings are refused with (those of an imported session may
        name anything), or Overtaken when the turn that it merges can no longer be.
        """
        check_length(said.text, self._limits.prompt_chars, field="prompt")
        async with self._commands.setdefault(session, anyio.Lock()):
            conversation, _ = await self._views.get(session)
            known = conversation.settings
            settings = await self._check(known, conversation.principal, known)
            gone: list[RequestContext] = []
            if said.merges is not None:
                if not conversation.turns[said.merges].unheard:
                    raise Overtaken
                # With the new question or not at all: else the first half of it might be lost.
                gone.append(RequestContext(said.merges, PlaybackFlushed(reason="merged")))
                gone.append(RequestContext(said.merges, TurnStopRequested(reason="merged")))
            params = TurnRequested(
                kind="prompt",
                text=said.text,
                settings=conversational(
                    settings, said.language if self.choices.speaks(said.language) else ""
                ),
                input=said.input,
                utterances=said.utterances,
                merges=said.merges,
            )
            return await self._ask(session, conversation, params, *before, *gone, key=key)

    async def heard(self, session: SessionId, command: AcknowledgePlayback, seen: Head | None = None) -> None:
        """Records how much of a turn was heard; less than is already known changes nothing.

        Nothing is recorded where the principal may write no more: reports of thousands of turns fill a log.
        """
        conversation, _ = await self._views.get(session, seen)
        turn = conversation.turns.get(TurnId(command.turn))
        if turn is None:
            raise TurnNotFound(f"this session has no turn {command.turn}", field="turn")
        heard_ms = min(command.heard_ms, turn.audio_ms)
        if not conversation.ended and (turn.heard_ms is None or heard_ms > turn.heard_ms):
            with suppress(LimitReached, StoredQuota):  # the listener is not told: nothing is lost
                if self._ledger.records(session, turn.turn):
                    size = bytes_of(PlaybackHeard(heard_ms=heard_ms))
                    await self._allowance.written(conversation.principal, size)
                await self._ledger.note(session, turn.turn, heard_ms)
        if command.ended and not conversation.ended and turn.playbacks < _PLAYBACKS:
            await self._ledger.settle(session)
            ended = PlaybackEnded(heard_ms=heard_ms, underruns=command.underruns)
            await self._recorder.post(session, ended, turn=turn.turn)

    async def all_heard(self, session: SessionId) -> None:
        """Writes the listeners' reports of what was heard into the log before anything else."""
        await self._ledger.flush(session)

    async def control(
        self, session: SessionId, command: Control, seen: Head | None = None, *, by: str = ""
    ) -> Seq:
        """Stop, pause, resume or skip. `by`: which of several people wants it."""
        conversation, _ = await self._views.get(session, seen)
        wanted = None if command.turn is None else TurnId(command.turn)
        turn, event = conversation.control(command.action, turn=wanted, sentence=command.sentence)
        if isinstance(event, TurnStopRequested) and by in conversation.members:
            event = event.model_copy(update={"by": by})
        stops = command.action == "stop" and conversation.turns[turn].stopping is None
        if stops or (command.action == "resume" and conversation.paused):  # it follows what was paid for
            await self._allowance.unasked(conversation.principal, bytes_of(event))
        else:
            await self._allowance.written(conversation.principal, bytes_of(event), room=False)
        outcome = await self._recorder.post(session, event, turn=turn)
        if conversation.has_work:  # else there is nothing that an owner would do about it
            self._owners.wake(session, outcome.last)
        return outcome.last

    async def update(
        self, session: SessionId, patch: SettingsPatch, seen: Head | None = None
    ) -> tuple[Seq, SessionSettings]:
        """Change the settings for turns requested from now on."""
        async with self._commands.setdefault(session, anyio.Lock()):
            conversation, _ = await self._views.get(session, seen)
            if conversation.ended or conversation.ending:
                raise SessionAlreadyEnded("this session has ended; create a new one")
            before = conversation.settings
            settings = await self._check(patch.apply(before), conversation.principal, before)
            await check_readable(self._views.log, patch, conversation.principal)
            changed = SettingsChanged(settings=settings)
            outcome = await self._recorder.post(session, changed, by=conversation.principal)
            self._views.wrote(session, outcome.last)
        return outcome.last, settings

    async def rename(self, session: SessionId, title: str) -> Seq:
        """Raises SessionAlreadyEnded."""
        conversation, _ = await self._views.get(session)
        if conversation.ended or conversation.ending:
            raise SessionAlreadyEnded("this session has ended; create a new one")
        renamed = SessionRenamed(title=title)
        return (await self._recorder.post(session, renamed, by=conversation.principal)).last

    async def delete(self, session: SessionId) -> None:
        """End the session, tell its listeners, then erase its events and audio.

        Raises SessionGone where somebody else has, once that is certain. A log that takes no end now, for
        want of replicas, is told to erase the session all the same: that is remembered and tried again.
        """
        try:
            conversation, head = await self._views.get(session)
            if head.state == "live":
                with suppress(SessionAlreadyEnded, LogUnavailable):  # ended meanwhile, by itself
                    await self._end(session, None if conversation.ending else "deleted", head.seq)
            await self._recorder.erase(session)
        except SessionGone:
            await self._recorder.erase(session)
            raise
        finally:
            self._views.forget(session)

    async def finish(self, session: SessionId) -> None:
        """Everything that was wanted of it is there: it closes, and stays as long as its like does."""
        conversation, _ = await self._views.get(session)
        if not conversation.ended and not conversation.ending:
            outcome = await self._recorder.post(session, SessionEndRequested(reason="done"))
            self._owners.wake(session, outcome.last)

    async def _end(self, session: SessionId, reason: EndReason | None, head: Seq) -> None:
        """Return when the session is closed, or nobody closes it; `reason`: it must still be asked for."""
        if reason is not None:
            head = (await self._recorder.post(session, SessionEndRequested(reason=reason))).last
        self._owners.wake(session, head)
        with anyio.move_on_after(_END_S):
            async with self._tailer.follow(session, head) as batches:
                async for _ in batches:
                    pass  # ends with the session
