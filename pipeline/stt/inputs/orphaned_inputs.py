"""Inputs whose listener died, and whose speaker never came back: somebody writes down what was said."""

import logging
import uuid
from typing import TYPE_CHECKING, Final

import anyio
from anyio.abc import TaskGroup

from pipeline.session_state.input_state import InputState
from pipeline.stt.inputs.input_leases import InputLease
from pipeline.stt.inputs.input_opening import InputServices
from schemas.errors import NoInput, RhapsodeError
from schemas.events.voice_events import InputClosed

if TYPE_CHECKING:
    from pipeline.stt.inputs.audio_inputs import AudioInputs

log = logging.getLogger(__name__)

_BEATS: Final = 4
"""A listener is dead when it has said nothing for so many of its heartbeats."""
_SHORTEST_S: Final = 0.1
_AT_ONCE: Final = 4
"""Inputs that one process takes up at a time; the others wait, or somebody else takes them."""
_CLAIM_MS: Final = 60_000


class OrphanedInputRecovery:
    """Keeps this process's inputs its own, and takes up those of the dead."""

    def __init__(self, audio_inputs: "AudioInputs", services: InputServices, rejoin_s: float) -> None:
        self._audio_inputs = audio_inputs
        self._services = services
        self._every_s = max(rejoin_s, _SHORTEST_S)
        self._name = f"recovery:{uuid.uuid4().hex}"
        self._taken: set[InputLease] = set()
        self.lease_ms = int(_BEATS * self._every_s * 1_000)

    async def run(self) -> None:
        """For ever."""
        async with anyio.create_task_group() as tasks:
            while True:
                try:
                    await self._beat(tasks)
                except RhapsodeError as error:
                    log.info("open inputs could not be looked after: %s", error)
                except Exception:  # all microphones of this process hang on the task group that this runs in
                    log.exception("open inputs could not be looked after")
                await self._services.clock.sleep(self._every_s)

    async def _beat(self, tasks: TaskGroup) -> None:
        await self._services.held.hold(self._audio_inputs.held, self.lease_ms)
        for held in await self._services.held.left(2 * _AT_ONCE, self.lease_ms):
            if self._may_take(held):
                self._taken.add(held)
                tasks.start_soon(self._inherit, held)

    def _may_take(self, held: InputLease) -> bool:
        """True if an input may be taken over; an input of this process never is."""
        ours = self._audio_inputs.has(held) or held in self._taken
        return not ours and len(self._taken) < _AT_ONCE and not self._audio_inputs.full

    async def _inherit(self, held: InputLease) -> None:
        try:
            if await self._services.claim(held, self._name, _CLAIM_MS):
                await self._finish(held)
        except NoInput as error:
            log.info("session %s: input %s has come back elsewhere: %s", *held, error)
        except RhapsodeError as error:
            log.warning("session %s: input %s is not taken up: %s", *held, error)
            if not error.retryable:
                await self._forget(held)
        except Exception:  # all microphones of this process hang on the task group that this runs in
            log.exception("session %s: input %s cannot be taken up", *held)
            await self._forget(held)
        finally:
            self._taken.discard(held)

    async def _forget(self, held: InputLease) -> None:
        if self._audio_inputs.has(held):
            return  # its speaker has come back to it here
        try:
            await self._services.held.let_go(held)
        except RhapsodeError as error:
            log.info("session %s: input %s stays listed: %s", *held, error)

    async def _finish(self, held: InputLease) -> None:
        """Hear the rest of what is in the log, and close the input."""
        conversation, _ = await self._services.sessions.view(held.session)
        if self._audio_inputs.has(held):
            return
        state = conversation.inputs.get(held.input)
        if state is None or state.closed or conversation.ended or conversation.ending:
            await self._services.held.let_go(held)
            return
        log.info("session %s: nobody listens to input %s any more; it is finished", *held)
        if state.source == "file":
            await self._close_file(held, state)
            return
        handle = await self._audio_inputs.take_up(held, opened=state.opened)
        if handle is not None:
            await handle.close("cut")

    async def _close_file(self, held: InputLease, state: InputState) -> None:
        """Closes an uploaded file without a question: its sender got no answer and may send it again."""
        event = InputClosed(input=held.input, ms=state.rest_ms, reason="cut")
        await self._services.recorder.post(held.session, event)
        await self._services.held.let_go(held)
