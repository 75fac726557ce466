"""One input listened to again, by the sound that the log keeps of it, and written down in both ways."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from math import ceil
from typing import Final

import anyio
from anyio.lowlevel import checkpoint

from pipeline.audio.capture import Playback
from pipeline.engines.base import Transcribers
from pipeline.hearing.audio_time import AudioClock, TimedEar
from pipeline.hearing.comparing import differences, report, words_of
from pipeline.hearing.endpointing import Began, Ended, Endpointer, Event, Paused, Resumed
from pipeline.hearing.errors_in_words import word_errors
from pipeline.hearing.restoring import recorded_pieces
from pipeline.hearing.scribe import Scribe, Written
from pipeline.hearing.stored import StoredInput
from pipeline.hearing.tape import Tape
from pipeline.hearing.vad import FRAME_BYTES, FRAME_MS, Vad
from pipeline.log.base import EventLog
from schemas.comparisons import (
    ComparisonProgress,
    InputComparison,
    UtteranceComparison,
    WayTotal,
)
from schemas.errors import EngineError, EngineFailed
from schemas.ids import SessionId
from schemas.listening import ListeningSettings, Mode

_KEPT_MS: Final = 90_000
_PROGRESS_MS: Final = 5_000
_MODES: Final[tuple[Mode, Mode]] = ("realtime", "quality")


class Rerun:
    """One input, as if it were spoken now into a microphone, with all decoding at its own speed.

    Engines work in real time, but nobody waits for the sound: see AudioClock. What they would lose by
    working at the same time is not counted.
    """

    def __init__(
        self,
        log: EventLog,
        session: SessionId,
        stored: StoredInput,
        settings: ListeningSettings,
        ways: Transcribers,
        vad: Vad,
    ) -> None:
        self._log = log
        self._session = session
        self._stored = stored
        self._settings = settings
        self._ways = ways
        self._vad = vad
        self._at_ms = stored.from_ms
        self._begun_ms = stored.from_ms
        self._done_ms = 0
        """What was said before is written down."""
        self._tape = Tape(max_ms=_KEPT_MS, at_ms=self._at_ms)
        self._endpointer = Endpointer(settings.endpointing, at_ms=self._at_ms)
        self._language: str | None = stored.opened.data["language"] or None
        self._done: list[UtteranceComparison] = []
        self._costs = {mode: WayTotal(mode=mode) for mode in _MODES}

    async def lines(self) -> AsyncGenerator[ComparisonProgress | InputComparison, None]:
        """Progress, then the input. Raises EngineError, or what the log raises."""
        told_ms = self._at_ms
        async with aclosing(self._frames()) as frames:
            async for frame in frames:
                began = _first_began(self._hear(frame))
                while began is not None:
                    began = await self._utterance(began, frames)
                if self._at_ms - told_ms >= _PROGRESS_MS:
                    told_ms = self._at_ms
                    yield self._progress()
        yield self._progress()
        yield self._comparison()

    async def _frames(self) -> AsyncGenerator[bytes, None]:
        playback, rest = Playback(), b""
        pieces = recorded_pieces(self._log, self._session, self._stored.name, after=self._stored.first_audio)
        async with aclosing(pieces):
            async for piece in pieces:
                sound = rest + playback.push(piece)
                whole = len(sound) // FRAME_BYTES * FRAME_BYTES
                rest = sound[whole:]
                for start in range(0, whole, FRAME_BYTES):
                    yield sound[start : start + FRAME_BYTES]
                await checkpoint()
        if rest := rest + playback.flush():
            yield rest[:FRAME_BYTES].ljust(FRAME_BYTES, b"\0")

    def _hear(self, frame: bytes) -> list[Event]:
        self._tape.push(frame)
        self._at_ms += FRAME_MS
        return self._endpointer.push(self._vad.probability(frame))

    async def _utterance(self, began: Began, frames: AsyncGenerator[bytes, None]) -> Began | None:
        """To its end, and written down in both ways; where it was cut, what begins there."""
        clock = AudioClock(self._at_ms / 1_000)
        ears = TimedEar(self._ways.realtime, clock), TimedEar(self._ways.quality, clock)
        async with anyio.create_task_group() as tasks:
            scribe = Scribe(
                Transcribers(*ears),
                self._settings,
                self._language,
                self._tape,
                clock,
                tasks,
                max(self._done_ms, began.at_ms - self._settings.endpointing.prefix_padding_ms),
            )
            ended, again = await self._until_end(scribe, clock, frames)
            self._done_ms = ended.end_ms
            pen = _Pen(scribe, clock, ended, self._settings)
            tasks.start_soon(pen.write)
            await clock.until(lambda: pen.done)
            tasks.cancel_scope.cancel()
        if pen.error is not None:
            raise pen.error
        self._keep(ended, pen, ears)
        return again

    async def _until_end(
        self, scribe: Scribe, clock: AudioClock, frames: AsyncGenerator[bytes, None]
    ) -> tuple[Ended, Began | None]:
        async for frame in frames:
            await clock.advance((self._at_ms + FRAME_MS) / 1_000)
            events = self._hear(frame)
            for event in events:
                match event:
                    case Paused(end_ms):
                        scribe.pause(end_ms, self._at_ms, self._endpointer.expect)
                    case Resumed():
                        scribe.go_on()
                    case Ended():
                        return event, _first_began(events)
            scribe.grow(self._at_ms, _nobody)
        [ended] = [event for event in self._endpointer.close() if isinstance(event, Ended)]
        return ended, None

    def _keep(self, ended: Ended, pen: "_Pen", ears: tuple[TimedEar, TimedEar]) -> None:
        first, second = (report(written, after_ms) for written, after_ms in pen.written)
        self._done.append(
            UtteranceComparison(
                utterance=len(self._done),
                start_ms=ended.start_ms,
                end_ms=ended.end_ms,
                reason=ended.reason,
                ways=(first, second),
                words=len(words_of(first.text)),
                differences=differences(first.text, second.text),
            )
        )
        for way, ear in zip((first, second), ears, strict=True):
            before = self._costs[way.mode]
            self._costs[way.mode] = before.model_copy(
                update={
                    "engine": way.engine,
                    "after_ms": (*before.after_ms, way.after_ms),
                    "requests": before.requests + ear.requests,
                    "decode_ms": round(before.decode_ms + ear.decode_ms, 1),
                    "cpu_ms": round(before.cpu_ms + ear.cpu_ms, 1),
                    "revisions": before.revisions + way.revisions,
                }
            )

    def _progress(self) -> ComparisonProgress:
        stored = self._stored
        at_ms = min(self._at_ms, stored.until_ms)
        return ComparisonProgress(
            input=stored.name, name=stored.opened.data["name"], at_ms=at_ms, total_ms=stored.until_ms
        )

    def _comparison(self) -> InputComparison:
        stored = self._stored
        texts = [" ".join(each.ways[way].text for each in self._done) for way in range(len(_MODES))]
        errors = [word_errors(stored.reference, text, self._language or "en") for text in texts]
        first, second = (
            self._costs[mode].model_copy(
                update={
                    "words": len(words_of(text)),
                    "word_errors": found.errors if stored.reference else None,
                }
            )
            for mode, text, found in zip(_MODES, texts, errors, strict=True)
        )
        return InputComparison(
            input=stored.name,
            name=stored.opened.data["name"],
            source=stored.opened.data["source"],
            from_ms=self._begun_ms,
            ms=stored.until_ms - self._begun_ms,
            spoken_ms=sum(each.end_ms - each.start_ms for each in self._done),
            reference_words=errors[0].words if stored.reference else None,
            utterances=tuple(self._done),
            ways=(first, second),
        )


class _Pen:
    """Writes one utterance down in both ways, on the clock of its sound."""

    def __init__(self, scribe: Scribe, clock: AudioClock, ended: Ended, settings: ListeningSettings) -> None:
        self._scribe = scribe
        self._clock = clock
        self._ended = ended
        self._settings = settings
        self.written: list[tuple[Written, float]] = []
        """The realtime way, then the quality way: each with its milliseconds from the last sound on."""
        self.error: EngineError | None = None
        self.done = False

    async def write(self) -> None:
        """Sets `done`, whatever becomes of it."""
        try:
            await self._write_both()
        except EngineError as error:
            self.error = error
        self.done = True

    async def _write_both(self) -> None:
        ended = self._ended
        written = await self._scribe.final(ended.end_ms, _nobody)
        if written.mode != "realtime":
            raise EngineFailed("the realtime way does not answer")
        self.written.append((written, self._clock.monotonic() * 1_000 - ended.end_ms))
        began_s = self._clock.monotonic()
        other = await self._scribe.otherwise("realtime")
        took_ms = (self._clock.monotonic() - began_s) * 1_000
        self.written.append((other, self._waited_ms() + took_ms))

    def _waited_ms(self) -> int:
        """Without a text before its end, the quality way always waits for the whole silence."""
        if self._ended.reason != "silence":
            return self._ended.at_ms - self._ended.end_ms
        return ceil(self._settings.endpointing.silence_ms / FRAME_MS) * FRAME_MS


def _first_began(events: list[Event]) -> Began | None:
    return next((event for event in events if isinstance(event, Began)), None)


async def _nobody(_text: str, _stable: int, _at_ms: int) -> None:
    """Nobody reads partial texts of what was said before."""
