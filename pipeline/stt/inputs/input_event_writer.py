"""What is noticed of an input, on its way into the log."""

from collections.abc import Awaitable, Callable

from pipeline.eventlog.recorder import SessionWriter
from pipeline.stt.inputs.input_opening import IntakeServices, Opening
from pipeline.stt.serial_task_queue import SerialTaskQueue
from schemas.events.voice_events import (
    InputProgress,
    SpeechDiscarded,
    SpeechEnded,
    SpeechStarted,
    TranscriptPartial,
)


class InputEventWriter:
    """Of one input. What is told first is in the log first; nobody waits until it is there."""

    def __init__(self, opening: Opening, services: IntakeServices, outbox: SerialTaskQueue) -> None:
        self._opening = opening
        self._recorder = services.recorder
        self._outbox = outbox
        self._producer = f"input:{opening.input}:{opening.seq}"
        self.writer: SessionWriter = services.recorder.open(opening.session, producer=self._producer)

    async def tell_once(self, event: SpeechStarted | SpeechEnded | SpeechDiscarded, what: str) -> None:
        """Whoever hears the same sound again says the same: only the first of them is heard."""
        name = f"input:{event.input}:{event.utterance}:{what}"
        await self._outbox.put(lambda: self._recorder.post(self._opening.session, event, key=name))

    async def tell(self, event: InputProgress | TranscriptPartial) -> None:
        await self._outbox.put(lambda: self.writer.record(event))

    def close(self) -> None:
        """Nothing more will be told; what was goes on into the log."""
        self._recorder.put_away(self._opening.session, producer=self._producer)

    def partials(self, utterance: int) -> Callable[[str, int, int], Awaitable[None]]:
        """Tells what has been understood of it."""

        async def tell(text: str, stable: int, at_ms: int) -> None:
            await self.tell(
                TranscriptPartial(
                    input=self._opening.input, utterance=utterance, text=text, stable=stable, at_ms=at_ms
                )
            )

        return tell
