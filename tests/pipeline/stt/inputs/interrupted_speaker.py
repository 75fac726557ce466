"""A speaker over a connection that breaks keeps the audio that was not acknowledged."""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.clients.native_speaker import BYTES_PER_MS, Caller, Event, calling
from tests.support.running_app import RunningApp

QueuedCommand = tuple[int, str]
"""At so many ms of the sound the client says so."""


class Broken(Exception):
    """The connection is gone, or what was sent was refused: come back."""


@dataclass
class Speaker:
    """Says `sound` into the input, however often the connection breaks."""

    session: str
    sound: bytes
    input: str
    commands: Sequence[QueuedCommand] = ()
    acked_ms: int = 0
    """Older sound is forgotten here."""
    connections: int = 0
    resumed_at: list[int] = field(default_factory=list)
    """What the server wanted to hear first, each time."""
    _obeyed: int = 0
    """Orders that were accepted."""

    @property
    def ms(self) -> int:
        return len(self.sound) // BYTES_PER_MS

    async def speak(self, whom: Callable[[], RunningApp], dice: random.Random, *, cuts: int) -> None:
        """Until all of it is said and the input is closed; after `cuts` cuts the connection holds."""
        while True:
            cut_after = dice.randint(0, 30) if self.connections < cuts else None
            self.connections += 1
            with suppress(ConnectionClosed, InvalidStatus, ConnectionError, EOFError, Broken):
                async with calling(whom(), self.session) as caller:
                    try:
                        await self._say(caller, dice, cut_after)
                    finally:
                        self.note(caller)
                    return

    async def _say(self, caller: Caller, dice: random.Random, cut_after: int | None) -> None:
        ready = await self._answer(caller, type="input.open", input=self.input, at_ms=self.acked_ms)
        at_ms = ready["from_ms"]
        assert at_ms >= self.acked_ms, "nobody asks for what was acknowledged"
        self.resumed_at.append(at_ms)
        while at_ms < self.ms:
            await self._order(caller, at_ms)
            if cut_after is not None and (cut_after := cut_after - 1) < 0:
                caller.cut()
                raise Broken
            frame_ms = dice.choice([10, 32, 40, 100, 250])
            if due := [ms for ms, _ in self.commands[self._obeyed :] if at_ms < ms < at_ms + frame_ms]:
                frame_ms = due[0] - at_ms
            await caller.speak(
                self.sound[at_ms * BYTES_PER_MS :][: frame_ms * BYTES_PER_MS], frame_ms=frame_ms, pace=0.02
            )
            at_ms += frame_ms
        await self._order(caller, at_ms)
        await self._answer(caller, type="input.close")

    async def _order(self, caller: Caller, at_ms: int) -> None:
        while self._obeyed < len(self.commands) and self.commands[self._obeyed][0] <= at_ms:
            await self._answer(caller, type=self.commands[self._obeyed][1])
            self._obeyed += 1

    async def _answer(self, caller: Caller, **message: object) -> Event:
        answer = await caller.answered(**message)
        if answer["type"] == "error":
            raise Broken(answer)
        return answer

    def note(self, caller: Caller) -> None:
        """Drops the audio that this connection acknowledged."""
        acks = [f["ms"] for f in caller.frames if f["type"] == "input.ack" and f["input"] == self.input]
        self.acked_ms = max([self.acked_ms, *acks])
