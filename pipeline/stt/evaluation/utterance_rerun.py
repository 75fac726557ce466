"""One utterance written down in both ways, on the clock of its sound."""

from collections.abc import Awaitable, Callable
from math import ceil

from pipeline.stt.endpointing import Ended
from pipeline.stt.evaluation.audio_clock import AudioClock
from pipeline.stt.evaluation.transcript_comparison import report
from pipeline.stt.speculative_transcript import SpeculativeText
from pipeline.stt.utterance_transcriber import UtteranceTranscriber
from pipeline.stt.vad import FRAME_MS
from schemas.errors import EngineError, EngineFailed
from schemas.events.voice_events import WayReport
from schemas.settings.listening_settings import ListeningSettings, Mode


class Pen:
    """`write` it, then look at what there is."""

    def __init__(
        self, scribe: UtteranceTranscriber, clock: AudioClock, ended: Ended, settings: ListeningSettings
    ) -> None:
        self._scribe = scribe
        self._clock = clock
        self._ended = ended
        self._settings = settings
        self.ways: list[WayReport] = []
        """The realtime way, then the quality way; one that failed has no text."""
        self.errors: list[EngineError | None] = []
        """Why not, for each."""
        self.done = False

    async def write(self) -> None:
        """Sets `done`, whatever becomes of it."""
        await self._try("realtime", self._as_live)
        await self._try("quality", self._afterwards)
        self.done = True

    async def _try(self, mode: Mode, write: Callable[[], Awaitable[tuple[SpeculativeText, float]]]) -> None:
        try:
            made, error = report(*await write()), None
        except EngineError as failure:
            made, error = WayReport(mode=mode, engine="", text="", after_ms=0.0, decode_ms=0.0), failure
        self.ways.append(made)
        self.errors.append(error)

    async def _as_live(self) -> tuple[SpeculativeText, float]:
        """With its milliseconds from the last sound on."""
        written = await self._scribe.final(self._ended.end_ms, nobody)
        if written.mode != "realtime":
            raise EngineFailed("the realtime way does not answer")
        return written, self._clock.monotonic() * 1_000 - self._ended.end_ms

    async def _afterwards(self) -> tuple[SpeculativeText, float]:
        began_s = self._clock.monotonic()
        written = await self._scribe.otherwise("realtime")
        return written, self._waited_ms() + (self._clock.monotonic() - began_s) * 1_000

    def _waited_ms(self) -> int:
        """Without a text before its end, the quality way always waits for the whole silence."""
        if self._ended.reason != "silence":
            return self._ended.at_ms - self._ended.end_ms
        return ceil(self._settings.endpointing.silence_ms / FRAME_MS) * FRAME_MS


async def nobody(_text: str, _stable: int, _at_ms: int) -> None:
    """Nobody reads partial texts of what was said before."""
