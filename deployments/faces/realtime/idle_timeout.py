"""When nobody says anything for long after an answer, the model speaks again, if the session wishes so."""

from typing import Final

import anyio

from deployments.container import GatewayContainer
from deployments.faces.realtime.event_translator import ServerEvent
from deployments.faces.realtime.input_buffer import RealtimeAudioInput
from deployments.faces.realtime.realtime_commands import RealtimeCommands
from pipeline.session_state.conversation import Conversation
from schemas.errors import RhapsodeError
from schemas.ids import TurnId
from schemas.realtime.realtime_session import ResponseWish

_INTERRUPTIONS: Final = frozenset({"input_audio_buffer.speech_started", "response.created"})


class IdleTimeout:
    """Of one connection. It waits only while its client lets itself be heard."""

    def __init__(
        self, services: GatewayContainer, commands: RealtimeCommands, audio_input: RealtimeAudioInput
    ) -> None:
        self._clock = services.clock
        self._commands = commands
        self._audio_input = audio_input
        self._news = anyio.Event()
        self._due: tuple[TurnId, int] | None = None
        """The answer after which nobody has said anything, and until when that is fine."""

    def note(self, event: ServerEvent, conversation: Conversation) -> None:
        """Takes the event told now, and the session after it."""
        kind = event.data["type"]
        if kind in _INTERRUPTIONS:
            self._due = None
        elif kind == "response.done":
            self._due = self._deadline(event, conversation)
        else:
            return
        self._news.set()
        self._news = anyio.Event()

    def _deadline(self, event: ServerEvent, conversation: Conversation) -> tuple[TurnId, int] | None:
        config = conversation.items.config or {}
        detection = config.get("audio", {}).get("input", {}).get("turn_detection") or {}
        wait_ms = detection.get("idle_timeout_ms")
        turn = conversation.turns.get(conversation.items.turn_of(event.data["response"]["id"]) or TurnId(0))
        if wait_ms is None or turn is None or turn.status != "completed":
            return None
        played_ms = (turn.first_audio_ms or 0) + turn.audio_ms
        return turn.turn, max(played_ms, self._clock.now_ms()) + wait_ms

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            news, due = self._news, self._due
            if due is None:
                await news.wait()
                continue
            left_s = (due[1] - self._clock.now_ms()) / 1_000
            with anyio.move_on_after(max(0.0, left_s)) as rest:
                await news.wait()
            if rest.cancelled_caught:
                self._due = None
                await self._speak_again(due[0])

    async def _speak_again(self, turn: TurnId) -> None:
        heard = self._audio_input.heard
        if heard is None:
            return
        name, at_ms = heard
        try:
            if await self._commands.idled(turn, name, at_ms):
                await self._commands.respond(ResponseWish())
        except RhapsodeError:
            return  # somebody asked something at the same moment
