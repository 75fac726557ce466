"""The inputs that a process listens to: opened by whoever has the sound, ended together."""

import logging
import uuid
from contextlib import suppress
from types import TracebackType
from typing import Final, Literal, Self

import anyio
from anyio.abc import TaskGroup

from pipeline.audio.incoming import Incoming
from pipeline.audio.uploads import SoundFile
from pipeline.hearing.intake import Acknowledge, Command, Intake
from pipeline.hearing.opening import IntakeServices, Opening, Source, for_source
from pipeline.hearing.restoring import Restored, restore
from pipeline.hearing.utterances import Refused
from pipeline.log.base import EventLog
from schemas.commands import OpenInput
from schemas.errors import GatewayBusy, NoInput, RhapsodeError, SessionEnded
from schemas.ids import SessionId
from schemas.settings import LimitSettings
from schemas.voice_facts import InputClosed, InputOpened

log = logging.getLogger(__name__)

_PIECE: Final = 32_000
"""Bytes of sound that are listened to in one go: a second."""


CloseReason = Literal["client", "end", "cut"]


class OpenInputHandle:
    """One open input, for whoever has its sound. One caller at a time."""

    def __init__(self, intake: Intake, incoming: Incoming, from_ms: int) -> None:
        self.name = intake.opening.input
        self.from_ms = from_ms
        """The sound that is given first."""
        self.intake = intake
        self.scope = anyio.CancelScope()
        self.done = anyio.Event()
        self.error: RhapsodeError | None = None
        self.reason: CloseReason = "client"
        self._incoming = incoming

    async def hear(self, sound: bytes) -> None:
        """In the format that was declared. Raises NotSound, or what ended the input."""
        await self._give(self._incoming.push(sound))

    async def _give(self, pcm: bytes) -> None:
        try:
            for start in range(0, len(pcm), _PIECE):
                await self.intake.hear(pcm[start : start + _PIECE])
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise self._why() from None

    async def commit(self) -> None:
        """The utterance ends here."""
        await self._command("commit")

    async def clear(self) -> None:
        """What was said since the last utterance is forgotten."""
        await self._command("clear")

    async def _command(self, command: Command) -> None:
        try:
            await self.intake.command(command)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise self._why() from None

    async def close(self, reason: CloseReason = "client") -> None:
        """Return when all that was said is written down. Raises what went wrong with that."""
        self.reason = reason
        with suppress(NoInput):
            await self._give(self._incoming.flush())
            await self._command("close")
        await self.done.wait()
        if self.error is not None:
            raise self.error

    def _why(self) -> RhapsodeError:
        return self.error or NoInput("this input is closed; open it again")


class Intakes:
    """An async context manager that ends them all."""

    def __init__(self, log: EventLog, services: IntakeServices, limits: LimitSettings) -> None:
        self._log = log
        self._services = services
        self._limits = limits
        self._open: dict[tuple[SessionId, str], OpenInputHandle] = {}
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._tasks is not None
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, error, trace)

    @property
    def listening(self) -> int:
        """Inputs that are open."""
        return len(self._open)

    async def open(
        self,
        session: SessionId,
        wish: OpenInput,
        acknowledge: Acknowledge,
        *,
        source: Source = "microphone",
        name: str = "",
        origin: SoundFile | None = None,
        refused: Refused | None = None,
    ) -> OpenInputHandle:
        """Begin to listen, or go on where the log ends.

        `acknowledge` is told what need not be given again, `refused` why something that was said is not
        answered. Raises GatewayBusy, SessionEnded or what the session's view raises.
        """
        known = wish.input or str(uuid.uuid4())
        await self._displace(session, known)
        if len(self._open) >= self._limits.inputs:
            raise GatewayBusy(f"this replica listens to {self._limits.inputs} inputs; try again shortly")
        conversation, _ = await self._services.sessions.view(session)
        if conversation.ended or conversation.ending:
            raise SessionEnded("this session has ended; create a new one")
        settings = for_source(conversation.settings.listening, source)
        language = settings.language or conversation.settings.language
        restored = await restore(self._log, session, conversation.inputs.get(known), wish.at_ms, settings)
        fact = InputOpened(
            input=known,
            source=source,
            format=origin.format if origin else wish.format,
            rate=origin.rate if origin else wish.rate,
            total_ms=origin.total_ms if origin else None,
            at_ms=restored.from_ms,
            name=name,
            reference=wish.reference,
            language="" if language == "auto" else language,
            settings=settings,
        )
        outcome = await self._services.recorder.post(session, fact)
        opening = Opening(
            session=session,
            input=known,
            source=source,
            settings=settings,
            language=None if language == "auto" else language,
            seq=outcome.last,
            at_ms=restored.at_ms,
            utterance=restored.utterance,
            recorded_ms=restored.recorded_ms,
        )
        return await self._begin(opening, wish, acknowledge, restored, refused)

    async def _begin(
        self,
        opening: Opening,
        wish: OpenInput,
        acknowledge: Acknowledge,
        restored: Restored,
        refused: Refused | None,
    ) -> OpenInputHandle:
        intake = Intake(opening, self._services, acknowledge, refused)
        handle = OpenInputHandle(intake, Incoming(wish.format, wish.rate), restored.from_ms)
        self._open[opening.session, opening.input] = handle
        assert self._tasks is not None
        self._tasks.start_soon(self._run, handle)
        for start in range(0, len(restored.pcm), _PIECE):
            await intake.hear(restored.pcm[start : start + _PIECE])
        return handle

    async def _displace(self, session: SessionId, name: str) -> None:
        """Whoever had this input before has lost it; what they knew is in the log."""
        before = self._open.get((session, name))
        if before is not None:
            before.scope.cancel()
            await before.done.wait()

    async def _run(self, handle: OpenInputHandle) -> None:
        opening = handle.intake.opening
        try:
            with handle.scope:
                await handle.intake.run()
                await self._close(handle)
        except* RhapsodeError as group:
            handle.error = _first(group)
            log.warning("session %s: input %s failed: %s", opening.session, opening.input, handle.error)
        except* Exception as group:
            handle.error = RhapsodeError("listening failed unexpectedly")
            log.exception("session %s: input %s failed", opening.session, opening.input, exc_info=group)
        finally:
            if self._open.get((opening.session, opening.input)) is handle:
                del self._open[opening.session, opening.input]
            handle.done.set()

    async def _close(self, handle: OpenInputHandle) -> None:
        opening = handle.intake.opening
        fact = InputClosed(input=opening.input, ms=handle.intake.at_ms, reason=handle.reason)
        await self._services.recorder.post(opening.session, fact)

    def leave(self, handle: OpenInputHandle) -> None:
        """The connection broke: wait for its return, then take what was said as all."""
        assert self._tasks is not None
        self._tasks.start_soon(self._wait_for_return, handle)

    async def _wait_for_return(self, handle: OpenInputHandle) -> None:
        await self._services.clock.sleep(self._limits.rejoin_s)
        opening = handle.intake.opening
        if handle.done.is_set():
            return
        try:
            conversation, _ = await self._services.sessions.view(opening.session)
            state = conversation.inputs.get(opening.input)
            if state is not None and state.opened != opening.seq:
                handle.scope.cancel()  # they came back to another replica
            else:
                await handle.close("cut")
        except RhapsodeError as error:
            log.info("session %s: input %s ended: %s", opening.session, opening.input, error)
            handle.scope.cancel()


def _first(group: BaseExceptionGroup[RhapsodeError]) -> RhapsodeError:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
