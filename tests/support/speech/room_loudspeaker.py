"""A loudspeaker in the room of a microphone, as of a client without echo cancellation."""

from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from loadtests.bench.turns.living_room import active_db, room_response
from pipeline.audio.opus import RATE as ANSWER_RATE
from tests.support.clients.native_speaker import Caller
from tests.support.speech.recordings import RATE

FRAME_MS: Final = 40
_FRAME: Final = RATE * FRAME_MS // 1_000
_DELAY_MS: Final = 60
"""From a sample that is played to the one that the microphone hears: buffers, and the air."""
_ROOM_TONE: Final = 12.0


class RoomLoudspeaker:
    """Plays what the caller receives of one turn, in `pcm16`, and is silent while the answer is held."""

    def __init__(self, caller: Caller, turn: int, heard_db: float) -> None:
        """`heard_db`: level of the answer at the microphone, as `active_db` counts it."""
        self._caller = caller
        self._turn = turn
        self._heard_db = heard_db
        self._dice = np.random.default_rng(7)
        self._room = np.concatenate([np.zeros(_DELAY_MS * RATE // 1_000), room_response(self._dice)])
        self._size = 2 ** int(np.ceil(np.log2(_FRAME + len(self._room))))
        self._spectrum = np.fft.rfft(self._room, self._size)
        self._rest = np.zeros(self._size)
        self._resampler = soxr.ResampleStream(ANSWER_RATE, RATE, 1, dtype="float32")
        self._taken = 0
        self._waiting = np.zeros(0, np.float32)
        self._gain: float | None = None
        self.played_ms = 0

    async def play(self, ms: int, over: bytes = b"") -> None:
        """Play for so long at the pace of a clock; the microphone also hears `over`, a user in the room."""
        user = np.frombuffer(over, "<i2").astype(np.float64)
        user = np.pad(user, (0, max(0, ms * RATE // 1_000 - len(user))))
        for at in range(0, ms * RATE // 1_000, _FRAME):
            heard = self._echo() + user[at : at + _FRAME] + self._dice.normal(0.0, _ROOM_TONE, _FRAME)
            await self._caller.speak(heard.round().clip(-32_768, 32_767).astype("<i2").tobytes(), pace=1)
            await self._caller.answered(type="ping")  # on a busy machine the room is as slow as the server
            if self.played_ms:
                await self._caller.send(type="playback.ack", turn=self._turn, heard_ms=self.played_ms)

    def _echo(self) -> NDArray[np.float64]:
        heard = self._rest + np.fft.irfft(
            np.fft.rfft(self._played(), self._size) * self._spectrum, self._size
        )
        self._rest = np.pad(heard[_FRAME:], (0, _FRAME))
        return heard[:_FRAME]

    def _played(self) -> NDArray[np.float64]:
        self._receive()
        if self._held or self._gain is None:
            return np.zeros(_FRAME)
        played, self._waiting = self._waiting[:_FRAME], self._waiting[_FRAME:]
        self.played_ms += len(played) * 1_000 // RATE
        return np.pad(played.astype(np.float64) * self._gain, (0, _FRAME - len(played)))

    def _receive(self) -> None:
        new, self._taken = self._caller.sound[self._taken :], len(self._caller.sound)
        chunks = [np.frombuffer(pcm, "<i2") for event, pcm in new if event["turn"] == self._turn]
        sound = [self._resampler.resample_chunk(chunk.astype(np.float32)) for chunk in chunks]
        self._waiting = np.concatenate([self._waiting, *sound])
        if self._gain is None and len(self._waiting) >= RATE:
            louder_db = 10 * np.log10((self._room**2).sum())
            self._gain = 10 ** ((self._heard_db - active_db(self._waiting) - louder_db) / 20)

    @property
    def _held(self) -> bool:
        kinds = [event["type"] for event in self._caller.events if event["type"].startswith("playback.")]
        return "playback.flushed" in kinds or kinds.count("playback.paused") > kinds.count("playback.resumed")
