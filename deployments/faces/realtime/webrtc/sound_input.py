"""From the audio track of a caller to the session's audio input."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import anyio
import av
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from deployments.faces.realtime.input_buffer import RealtimeAudioInput
from pipeline.core.clock import Clock
from schemas.errors import RhapsodeError

RATE: Final = 24_000
_FRAMES: Final = 250
"""Frames of 20 ms that wait for a slow audio input; later ones are lost, and become silence."""
_LONGEST_GAP: Final = 2 * RATE
"""Samples of silence in place of sound that did not come; a longer pause counts as so long."""
_AGAIN_S: Final = 5.0
"""How long a caller is not listened to after an audio input was refused."""


class SoundInput:
    """Of one call. aiortc orders the packets in a jitter buffer of at most 16 and decodes them; sound that is
    missing between two frames becomes silence of the same length, so that times stay what they were."""

    def __init__(
        self,
        audio_input: RealtimeAudioInput,
        refused: Callable[[RhapsodeError], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._audio_input = audio_input
        self._refused = refused
        self._clock = clock
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        self._next: int | None = None
        """Position of the sample that comes next, in samples of 48 kHz."""
        self.frames = 0
        """Frames that came."""
        self.missing_ms = 0
        """Sound that did not come."""

    async def run(self, track: MediaStreamTrack) -> None:
        """Until the track ends."""
        arrive, arrived = anyio.create_memory_object_stream[av.AudioFrame](_FRAMES)
        async with arrived, anyio.create_task_group() as tasks:
            tasks.start_soon(self._feed, arrived)
            async with arrive:
                while True:
                    try:
                        frame = await track.recv()
                    except MediaStreamError:
                        return
                    if not isinstance(frame, av.AudioFrame):
                        continue
                    self.frames += 1
                    try:
                        arrive.send_nowait(frame)
                    except anyio.WouldBlock:
                        continue

    async def _feed(self, frames: anyio.abc.ObjectReceiveStream[av.AudioFrame]) -> None:
        deaf_until = 0.0
        async for frame in frames:
            for pcm in self._pcm(frame):
                if self._clock.monotonic() < deaf_until:
                    continue
                try:
                    await self._audio_input.push(pcm)
                except RhapsodeError as error:
                    deaf_until = self._clock.monotonic() + _AGAIN_S
                    await self._refused(error)

    def _pcm(self, frame: av.AudioFrame) -> Iterator[bytes]:
        """16-bit samples, mono, 24 kHz, with silence in place of what is missing before the frame."""
        at = frame.pts or 0
        gap = 0 if self._next is None else (at - self._next) * RATE // frame.sample_rate
        self._next = at + frame.samples
        if gap > 0:
            self.missing_ms += gap * 1_000 // RATE
            yield bytes(2 * min(gap, _LONGEST_GAP))
        for each in self._resampler.resample(frame):
            yield each.to_ndarray().tobytes()
