"""From a session's events to the messages of a voice assistant's socket, as its clients know them."""

import base64
from collections.abc import AsyncGenerator
from typing import Any, Final

from pipeline.audio.audio_formats import AudioFormat
from pipeline.delivery.sentence_audio import SentenceEncoder, SentenceSound
from schemas.events import TERMINAL
from schemas.events.recorded import Recorded
from schemas.ids import TurnId

Message = dict[str, Any]
FORMAT: Final[AudioFormat] = "mp3"


class AssistantMessages:
    """`token` for each piece of text, `audio-chunk` for each sentence, `audio-done` and `done` at the end."""

    def __init__(self, since: TurnId, encoder: SentenceEncoder, listener: str) -> None:
        """Of earlier turns than `since` nothing is told: their beginning has not been seen. `listener`: the
        principal's name."""
        self._encoder = encoder
        self._listener = listener
        self._since = since
        self._sound = SentenceSound()
        self._gone: set[TurnId] = set()
        """Turns that nobody is to hear any more of."""

    async def of(self, recorded: Recorded) -> AsyncGenerator[Message, None]:
        """The messages that follow from the next event, which was read with its audio."""
        data = recorded.data
        if recorded.turn and recorded.turn < self._since:
            return
        match recorded.type:
            case "transcript.partial":
                yield {"type": "transcript-partial", "text": data["text"], "stable": data["stable"]}
            case "transcript.final":
                yield {"type": "transcript", "text": data["text"], "taken": data["taken"]}
            case "transcript.failed":
                yield {"type": "error", "code": data["code"], "message": data["message"]}
            case "playback.paused" | "playback.resumed":
                yield {"type": "hold" if recorded.type == "playback.paused" else "release"}
            case "playback.flushed":
                self._gone.add(recorded.turn)
                yield {"type": "flush", "turn": recorded.turn}
            case _ if recorded.turn and recorded.turn not in self._gone:
                async for message in self._of_turn(recorded):
                    yield message
            case kind if kind in TERMINAL:
                yield {"type": "done", "turn": recorded.turn, "stopped": True}

    async def _of_turn(self, recorded: Recorded) -> AsyncGenerator[Message, None]:
        data, turn = recorded.data, recorded.turn
        match recorded.type:
            case "text.delta":
                yield {"type": "token", "token": data["text"], "turn": turn}
            case "audio.chunk":
                self._sound.take(recorded)
            case "sentence.completed" | "sentence.skipped":
                if sound := tuple(self._sound.of(data["sentence"])):
                    file = await self._encoder.encode(self._listener, FORMAT, sound)
                    chunk = base64.b64encode(file).decode()
                    yield {"type": "audio-chunk", "chunk": chunk, "format": FORMAT, "turn": turn}
            case "turn.failed":
                yield {"type": "error", "code": data["code"], "message": data["message"], "turn": turn}
                yield {"type": "done", "turn": turn}
            case "turn.completed":
                yield {"type": "audio-done", "turn": turn}
                yield {"type": "done", "turn": turn}
            case "turn.stopped":
                yield {"type": "done", "turn": turn, "stopped": True}
