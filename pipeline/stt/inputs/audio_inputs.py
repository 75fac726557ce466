"""The inputs that a process listens to: opened by whoever has the sound, ended together."""

import logging
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

import anyio
from anyio.abc import TaskGroup

from pipeline.audio.input_formats import Incoming
from pipeline.audio.sound_files import SoundHeader
from pipeline.core.task_scope import TaskScope
from pipeline.observability.tracer import in_session
from pipeline.stt.inputs.audio_input import Acknowledge, AudioInput, unacknowledged
from pipeline.stt.inputs.input_handles import CloseReason, HeardAllowance, OpenInputHandle
from pipeline.stt.inputs.input_leases import InputLease
from pipeline.stt.inputs.input_opening import InputServices, Opening, Source, for_source
from pipeline.stt.inputs.input_recovery import Restored, restore
from pipeline.stt.inputs.orphaned_inputs import OrphanedInputRecovery
from pipeline.stt.utterances import Refused
from schemas.errors import (
    Conflict,
    GatewayBusy,
    LogError,
    NoInput,
    RhapsodeError,
    SessionAlreadyEnded,
    first_error,
)
from schemas.errors.access_errors import ListenerLimit
from schemas.events.voice_events import InputClosed, InputOpened
from schemas.ids import Seq, SessionId
from schemas.languages import primary
from schemas.native.client_commands import OpenInput
from schemas.settings.limit_settings import LimitSettings

log = logging.getLogger(__name__)

_RETRY_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Beginning:
    """An input that is about to be listened to."""

    held: InputLease
    params: OpenInput
    acknowledge: Acknowledge = unacknowledged
    source: Source = "microphone"
    name: str = ""
    origin: SoundHeader | None = None
    refused: Refused | None = None
    after: Seq | None = None
    """Taken up from the opening there: it is ours only if nobody has opened it since."""


class AudioInputs(TaskScope):
    """An async context manager that ends them all."""

    def __init__(self, services: InputServices, limits: LimitSettings) -> None:
        super().__init__()
        self._services = services
        self._limits = limits
        self._orphans = OrphanedInputRecovery(self, services, limits.rejoin_s)
        self._open: dict[InputLease, OpenInputHandle] = {}
        self._whose: Counter[str] = Counter()
        """Principals of the inputs that are open, or about to be."""
        self._locks: WeakValueDictionary[InputLease, anyio.Lock] = WeakValueDictionary()
        """Held while an input is opened: two at a time would both think that they have it."""

    def _begin(self, tasks: TaskGroup) -> None:
        tasks.start_soon(self._orphans.run)

    @property
    def listening(self) -> int:
        """Inputs that are open."""
        return len(self._open)

    @property
    def held(self) -> list[InputLease]:
        """Those inputs."""
        return list(self._open)

    async def open(
        self,
        session: SessionId,
        params: OpenInput,
        acknowledge: Acknowledge = unacknowledged,
        *,
        source: Source = "microphone",
        name: str = "",
        origin: SoundHeader | None = None,
        refused: Refused | None = None,
    ) -> OpenInputHandle:
        """Begin to listen, or go on where the log ends.

        `acknowledge` is told what need not be given again, `refused` why something that was said is not
        answered. Raises GatewayBusy, LimitReached, SessionAlreadyEnded, InputError or what the session's view
        raises.
        """
        held = InputLease(session, params.input or str(uuid.uuid4()))
        async with self._locks.setdefault(held, anyio.Lock()):
            await self._displace(held)
            beginning = _Beginning(held, params, acknowledge, source, name, origin, refused)
            handle, before = await self._start(beginning)
        return await self._hearing_first(handle, before)

    @property
    def full(self) -> bool:
        """No room for another input."""
        return self._whose.total() >= self._limits.inputs

    def has(self, held: InputLease) -> bool:
        """True if this process hears the input, or is about to."""
        return held in self._locks or self._hears(held)

    def _hears(self, held: InputLease) -> bool:
        handle = self._open.get(held)
        return handle is not None and not handle.scope.cancel_called

    async def take_up(self, held: InputLease, *, opened: Seq) -> OpenInputHandle | None:
        """Go on where the log ends, as nobody listens to it any more; None if somebody does, here.

        `opened`: where it was opened last. Raises what `open` raises, and NoInput where it was opened since.
        """
        params = OpenInput(input=held.input, at_ms=0)
        async with self._locks.setdefault(held, anyio.Lock()):
            if self._hears(held):
                return None
            await self._displace(held)
            handle, before = await self._start(_Beginning(held, params, after=opened))
        return await self._hearing_first(handle, before)

    async def _start(self, new: _Beginning) -> tuple[OpenInputHandle, bytes]:
        """Under its lock: listened to from now on, and the sound of the log that must be heard first."""
        conversation, _ = await self._services.sessions.view(new.held.session)
        principal = conversation.principal
        self._take_place(principal)
        try:
            allowed = await self._allowed(new, principal)
            opening, restored = await self._record_opening(new)
            audio_input = AudioInput(opening, self._services, new.acknowledge, new.refused)
            incoming = Incoming(new.params.format, new.params.samples_per_s)
            handle = OpenInputHandle(audio_input, incoming, restored.from_ms, allowed, principal=principal)
        except BaseException:
            self._leave_place(principal)
            raise
        self._open[new.held] = handle
        self.spawn(self._run, handle)
        return handle, restored.pcm

    def _take_place(self, principal: str) -> None:
        """The last quarter of the places is for principals that have fewer than as many."""
        most, own = self._limits.inputs, self._whose[principal]
        if self.full:
            raise GatewayBusy(f"this replica listens to {most} inputs; try again shortly")
        if principal and 0 < own >= most // 4 and self._whose.total() >= most - most // 4:
            raise ListenerLimit(
                f"{own} inputs of one principal are enough while few places are left", retry_after_s=_RETRY_S
            )
        self._whose[principal] += 1

    def _leave_place(self, principal: str) -> None:
        self._whose[principal] -= 1
        self._whose += Counter()  # principals without inputs are forgotten

    async def _allowed(self, new: _Beginning, principal: str) -> HeardAllowance | None:
        """A file that says how long it is pays at once, a microphone as it is heard. Raises HeardLimit."""
        heard = self._services.heard
        if heard is None:
            return None
        total_ms = new.origin.total_ms if new.origin else None
        await heard(principal, total_ms or 1)
        return HeardAllowance(partial(heard, principal), total_ms or 1)

    async def _hearing_first(self, handle: OpenInputHandle, pcm: bytes) -> OpenInputHandle:
        try:
            await handle.give(pcm)
        except BaseException:
            handle.scope.cancel()  # the next gateway hears all of it
            raise
        return handle

    async def _record_opening(self, new: _Beginning) -> tuple[Opening, Restored]:
        (session, known), params, source, origin = new.held, new.params, new.source, new.origin
        conversation, _ = await self._services.sessions.view(session)
        if conversation.ended or conversation.ending:
            raise SessionAlreadyEnded("this session has ended; create a new one")
        settings = for_source(conversation.settings.listening, source)
        language = primary(settings.language or conversation.settings.language)
        restored = await restore(
            self._services.log, session, conversation.inputs.get(known), params.at_ms, settings
        )
        await self._services.held.hold([new.held], self._orphans.lease_ms)
        event = InputOpened(
            input=known,
            source=source,
            format=origin.format if origin else params.format,
            rate=origin.rate if origin else params.samples_per_s,
            total_ms=origin.total_ms if origin else None,
            at_ms=restored.from_ms,
            name=new.name,
            reference=params.reference,
            language="" if language == "auto" else language,
            settings=settings,
        )
        seq = await self._post_opening(event, new, conversation.principal)
        opening = Opening(
            session=session,
            input=known,
            source=source,
            settings=settings,
            language=None if language == "auto" else language,
            seq=seq,
            at_ms=restored.at_ms,
            from_ms=restored.from_ms,
            utterance=restored.utterance,
            recorded_ms=restored.recorded_ms,
            before=restored.before,
            commands=restored.commands,
            cut=restored.cut,
        )
        return opening, restored

    async def _post_opening(self, event: InputOpened, new: _Beginning, principal: str) -> Seq:
        session, post = new.held.session, self._services.recorder.post
        if new.after is None:
            return (await post(session, event, by=principal)).last
        return await self._post_unless_opened(session, event, new.after)

    async def _post_unless_opened(
        self, session: SessionId, event: InputOpened | InputClosed, opened: Seq
    ) -> Seq:
        """Records the event unless the input was opened since `opened`. Raises NoInput where it was."""
        while True:
            conversation, _ = await self._services.sessions.view(session)
            state = conversation.inputs.get(event.input)
            if state is not None and state.opened > opened:
                raise NoInput("this input was opened somewhere else", field="type")
            with suppress(Conflict):
                return (await self._services.recorder.post(session, event, expected=conversation.head)).last

    async def _displace(self, held: InputLease) -> None:
        """Ends the earlier handle of this input in this process; its state is in the log."""
        before = self._open.get(held)
        if before is not None:
            before.scope.cancel()
            await before.done.wait()

    async def _run(self, handle: OpenInputHandle) -> None:
        with in_session(handle.audio_input.opening.session, self._services.tracing):
            await self._run_here(handle)

    async def _run_here(self, handle: OpenInputHandle) -> None:
        opening = handle.audio_input.opening
        held = InputLease(opening.session, opening.input)
        try:
            with handle.scope:
                await handle.audio_input.run()
                await self._close(handle, handle.reason or "client")
        except* RhapsodeError as group:
            handle.error = first_error(group)
            log.warning("session %s: input %s failed: %s", opening.session, opening.input, handle.error)
            if isinstance(handle.error, NoInput):
                with suppress(RhapsodeError):
                    await handle.audio_input.let_go_of_answer()
        except* Exception as group:
            handle.error = RhapsodeError("listening failed unexpectedly")
            log.exception("session %s: input %s failed", opening.session, opening.input, exc_info=group)
            handle.audio_input.failure = handle.error
            await self._close_failed(handle)
        finally:
            if self._open.get(held) is handle:
                del self._open[held]
            self._leave_place(handle.principal)
            handle.done.set()

    async def _close(self, handle: OpenInputHandle, reason: CloseReason) -> None:
        opening, failure = handle.audio_input.opening, handle.audio_input.failure
        event = InputClosed(
            input=opening.input,
            ms=handle.audio_input.at_ms,
            reason=reason,
            code="" if failure is None else failure.code,
            message="" if failure is None else str(failure),
        )
        await self._post_unless_opened(opening.session, event, opening.seq)
        await self._services.held.let_go(InputLease(opening.session, opening.input))

    async def _close_failed(self, handle: OpenInputHandle) -> None:
        try:
            await self._close(handle, "failed")
        except Exception as error:  # it is over, whatever becomes of this
            log.warning("nor could that be recorded: %s", error)

    def leave(self, handle: OpenInputHandle, *, may_return: bool = True) -> None:
        """The connection broke: wait for its return, then take what was said as all."""
        self._tasks.start_soon(self._wait_for_return, handle, self._limits.rejoin_s if may_return else 0.0)

    def abandon(self, handle: OpenInputHandle, error: RhapsodeError) -> None:
        """Closes an abandoned input in the background."""
        self._tasks.start_soon(self._abandon, handle, error)

    async def _abandon(self, handle: OpenInputHandle, error: RhapsodeError) -> None:
        with suppress(RhapsodeError):  # a failure of that is logged where it happens
            await handle.abandon(error)

    async def _wait_for_return(self, handle: OpenInputHandle, wait_s: float) -> None:
        with anyio.move_on_after(wait_s):
            await handle.done.wait()
        opening = handle.audio_input.opening
        if handle.done.is_set():
            return
        try:
            conversation, _ = await self._services.sessions.view(opening.session)
            state = conversation.inputs.get(opening.input)
            if state is not None and state.opened != opening.seq:
                handle.scope.cancel()  # they came back to another replica
            else:
                await handle.close("cut")
        except LogError as error:
            log.info("session %s: input %s ended: %s", opening.session, opening.input, error)
            handle.scope.cancel()  # the rest of it will be taken up when the log is there again
        except RhapsodeError as error:
            log.info("session %s: input %s ended: %s", opening.session, opening.input, error)
            handle.scope.cancel()
        except Exception:  # all microphones of this process hang on the task group that this runs in
            log.exception("session %s: input %s cannot be closed", opening.session, opening.input)
            handle.scope.cancel()
