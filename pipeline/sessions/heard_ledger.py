"""How much of an answer was heard: said often by listeners, recorded now and then, and in the end exactly."""

import logging
from types import TracebackType
from typing import Final, Self

import anyio
from anyio.abc import TaskGroup

from pipeline.core.clock import Clock
from pipeline.eventlog.recorder import Recorder
from schemas.errors import LogUnavailable, RhapsodeError
from schemas.events.voice_events import PlaybackHeard
from schemas.ids import SessionId, TurnId

log = logging.getLogger(__name__)

_EVERY_S: Final = 0.5
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
