"""Blocks of sound in which an audio input is listened to."""

from pipeline.stt.vad import FRAME_BYTES, NoiseFloor


class AudioBlocks:
    """Collects one input's PCM16 until there is enough of it to be listened to.

    In silence, sound that is no louder than silence was waits for as much again.
    """

    def __init__(self) -> None:
        self._collected = bytearray()
        self._enough = FRAME_BYTES
        self._may_wait = False
        self._noise_floor = NoiseFloor()

    def push(self, pcm: bytes) -> bytes:
        """The block that is complete now; empty where none is."""
        self._collected += pcm
        if len(self._collected) < self._enough:
            return b""
        if self._may_wait and not self._noise_floor.exceeded(self._collected):
            self._enough, self._may_wait = 2 * self._enough, False
        return b"" if len(self._collected) < self._enough else self.take()

    def take(self) -> bytes:
        """All sound that is collected; empty where none is."""
        block, self._collected = bytes(self._collected), bytearray()
        return block

    def listened(self, frames: bytes, enough: int, *, silent: bool) -> None:
        """After `frames`: `enough` bytes are the next block. `silent`: nobody speaks at the frames' end."""
        self._enough, self._may_wait = enough, silent
        if frames and silent:
            self._noise_floor.note(frames)
