"""Which sound of a session a caller hears, and which not any more."""

from contextlib import suppress
from typing import Any, Final

import anyio

from deployments.container import GatewayContainer
from deployments.faces.realtime.event_translator import ServerEvent
from deployments.faces.realtime.realtime_opening import Opened
from deployments.faces.realtime.webrtc.sound_output import SoundOutput
from pipeline.stt.turn_policy import spoken_over
from schemas.errors import RhapsodeError
from schemas.events.recorded import Recorded
from schemas.ids import TurnId
from schemas.realtime.client_events import ItemTruncate

_SPEECH: Final = "input_audio_buffer.speech_started"
_PAUSES: Final = frozenset({"playback.paused", "playback.resumed", "turn.requested"})
"""A new question ends a pause, as `Conversation` has it."""


class CallSound:
    """The server keeps the output audio buffer of a call: it plays what the log says, empties the buffer
    when the user speaks over an answer, and records how much of the answer was heard."""

    def __init__(self, services: GatewayContainer, opened: Opened, output: SoundOutput, call: str) -> None:
        self._clock = services.clock
        self._opened = opened
        self._output = output
        self._call = call
        self._cut: set[TurnId] = set()
        """Turns whose sound is not played, until they are over."""
        self.hung_up = anyio.Event()
        output.read_from(services.log, opened.session)
        if opened.head.seq <= opened.after:
            output.release()

    async def follow(self, recorded: Recorded, events: list[ServerEvent]) -> None:
        """Takes the next event of the session, and the server events that follow from it."""
        live = recorded.seq > self._opened.head.seq
        for event in events:
            if event.sound is not None:
                self._play(event, event.sound)
            elif event.data["type"] == "response.done":
                self._output.end(recorded.turn, {"response_id": event.data["response"]["id"]})
                self._cut.discard(recorded.turn)
            elif event.data["type"] == _SPEECH and live and self._not_interrupted():
                await self._drop(None, live=True)
        if recorded.type == "playback.flushed":
            await self._drop(recorded.turn, live=live)
        elif recorded.type in _PAUSES:
            self._output.hold(recorded.type == "playback.paused")
        elif recorded.type == "call.hung_up" and self._ends(recorded.data["call"], live=live):
            self.hung_up.set()
        if recorded.seq >= self._opened.head.seq:
            self._output.release()

    def _ends(self, call: str, *, live: bool) -> bool:
        return (live and call == self._call) or call == self._opened.call_before != ""

    async def clear(self) -> None:
        """The client wants to hear no more of what is in the buffer."""
        await self._drop(None, live=True)

    def _play(self, event: ServerEvent, chunk: Recorded) -> None:
        if chunk.turn in self._cut:
            return
        after, skip_ms = self._opened.sound_after, 0
        if after is None:
            if event.number <= self._opened.last_number:
                return
        elif chunk.seq <= after[0]:
            skip_ms = after[1]
            if chunk.seq < after[0] or skip_ms >= chunk.data["ms"]:
                return
        about: dict[str, Any] = {name: event.data[name] for name in ("response_id", "item_id")}
        self._output.play(chunk, about, skip_ms=skip_ms)

    def _not_interrupted(self) -> bool:
        """Whether an answer is heard here that the log takes for over: then nobody else interrupts it."""
        conversation = self._opened.translator.conversation
        if not conversation.settings.listening.barge_in or not self._output.playing:
            return False
        return spoken_over(conversation, self._clock.now_ms()) is None

    async def _drop(self, turn: TurnId | None, *, live: bool) -> None:
        """`live`: it happens now, and what was heard is recorded."""
        cuts = self._output.clear(turn)
        turns = self._opened.translator.conversation.turns
        self._cut |= {cut.turn for cut in cuts if not turns[cut.turn].over}
        for cut in cuts if live else ():
            end = ItemTruncate(
                type="conversation.item.truncate",
                item_id=cut.about["item_id"],
                content_index=0,
                audio_end_ms=cut.heard_ms,
            )
            with suppress(RhapsodeError):  # deleted meanwhile, or the session has ended
                await self._opened.commands.truncate(end)
