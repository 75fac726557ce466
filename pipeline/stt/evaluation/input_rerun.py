"""Inputs listened to again, by the sound that the log keeps of them, and written down in both ways."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from math import ceil
from typing import Final

import anyio
import anyio.to_thread
from anyio.lowlevel import checkpoint

from pipeline.audio.capture import Playback
from pipeline.engines.ports import Transcribers
from pipeline.eventlog.event_log import EventLog
from pipeline.stt.audio_ring_buffer import AudioRingBuffer
from pipeline.stt.endpointing import Began, Ended, Endpointer, Event, Paused, Resumed
from pipeline.stt.evaluation.audio_clock import AudioClock, TimedSpeechToText
from pipeline.stt.evaluation.transcript_comparison import differences, report, words_of
from pipeline.stt.evaluation.word_error_rate import word_errors
from pipeline.stt.inputs.input_recovery import recorded_pieces
from pipeline.stt.utterance_transcriber import SpeculativeText, UtteranceTranscriber
from pipeline.stt.vad import FRAME_BYTES, FRAME_MS, Vad
from schemas.errors import EngineError, EngineFailed, GatewayBusy
from schemas.events.recorded import Recorded
from schemas.events.voice_events import WayReport
from schemas.ids import Seq, SessionId
from schemas.native.client_commands import REFERENCE_CHARS
from schemas.native.comparison_answers import (
    ComparisonProgress,
    ComparisonReport,
    InputComparison,
    UtteranceComparison,
    WayTotal,
)
from schemas.settings.listening_settings import ListeningSettings, Mode

_KEPT_MS: Final = 90_000
_GAP_MS: Final = 60_000
"""So much of a gap in the sound is heard, as silence: every utterance before it has ended then."""
_PROGRESS_MS: Final = 5_000
_IN_A_ROW: Final = 5
"""Failures after which the rerun is given up."""
_MODES: Final[tuple[Mode, Mode]] = ("realtime", "quality")


class TimedUtterance:
    """`write` it, then look at what there is."""

    def __init__(
        self, transcriber: UtteranceTranscriber, clock: AudioClock, ended: Ended, settings: ListeningSettings
    ) -> None:
        self._transcriber = transcriber
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
        written = await self._transcriber.final(self._ended.end_ms, nobody)
        if written.mode != "realtime":
            raise EngineFailed("the realtime way does not answer")
        return written, self._clock.monotonic() * 1_000 - self._ended.end_ms

    async def _afterwards(self) -> tuple[SpeculativeText, float]:
        began_s = self._clock.monotonic()
        written = await self._transcriber.otherwise("realtime")
        return written, self._waited_ms() + (self._clock.monotonic() - began_s) * 1_000

    def _waited_ms(self) -> int:
        """Without a text before its end, the quality way always waits for the whole silence."""
        if self._ended.reason != "silence":
            return self._ended.at_ms - self._ended.end_ms
        return ceil(self._settings.endpointing.silence_ms / FRAME_MS) * FRAME_MS


async def nobody(_text: str, _stable: int, _at_ms: int) -> None:
    """Ignores partial texts: a rerun needs only the final ones."""


@dataclass(slots=True)
class StoredInput:
    """Events of one microphone or file in the log."""

    name: str
    opened: Recorded
    reference: str = ""
    first_audio: Seq | None = None
    from_ms: int = 0
    until_ms: int = 0
    heard_ms: int = 0
    """Of its sound and gaps, as far as a rerun hears them."""


async def stored_inputs(log: EventLog, session: SessionId) -> list[StoredInput]:
    """Those that have sound, in the order in which they were opened."""
    found: dict[str, StoredInput] = {}
    after = Seq(0)
    while page := await log.read(session, after):
        for each in page:
            if each.type == "input.opened":
                known = found.setdefault(each.data["input"], StoredInput(each.data["input"], each))
                known.reference = known.reference or _comparable(each.data["reference"])
            elif each.type == "input.audio" and (known_by := found.get(each.data["input"])):
                _extend(known_by, each)
        after = page[-1].seq
    return [each for each in found.values() if each.first_audio is not None]


def _comparable(reference: str) -> str:
    """One that only a bundle can have counts as none: each of its numbers is put in words."""
    return reference if len(reference) <= REFERENCE_CHARS else ""


def _extend(stored: StoredInput, audio: Recorded) -> None:
    at_ms, ms = audio.data["at_ms"], audio.data["ms"]
    if stored.first_audio is None:
        stored.first_audio, stored.from_ms, stored.until_ms = audio.seq, at_ms, at_ms
    stored.heard_ms += ms + min(max(0, at_ms - stored.until_ms), _GAP_MS)
    stored.until_ms = max(stored.until_ms, at_ms + ms)


class Rerun:
    """One input, as if it were spoken now into a microphone, with all decoding at its own speed.

    Engines work in real time, but the sound does not: see AudioClock. The time that they would lose by
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
        self._transcribers = ways
        self._vad = vad
        self._begun_ms = stored.from_ms
        self._done_ms = 0
        """Speech before this place is transcribed."""
        self._begin(stored.from_ms)
        self._language: str | None = stored.opened.data["language"] or None
        self._in_a_row = 0
        """Utterances, up to the last one, that were not written down in both ways."""
        self._done: list[UtteranceComparison] = []
        self._costs = {mode: WayTotal(mode=mode) for mode in _MODES}

    def _begin(self, at_ms: int) -> None:
        """The next sound is at `at_ms` and goes on with nothing before it."""
        self._at_ms = at_ms
        self._ring_buffer = AudioRingBuffer(max_ms=_KEPT_MS, at_ms=at_ms)
        self._endpointer = Endpointer(self._settings.ends, at_ms=at_ms)

    async def lines(self) -> AsyncGenerator[ComparisonProgress | InputComparison, None]:
        """Progress, then the input. Raises EngineError when one fails again and again, or as the log does."""
        recorded_ms = self._at_ms
        async with aclosing(self._frames()) as frames:
            async for frame in frames:
                began = _first_began(self._push_audio(frame))
                while began is not None:
                    began = await self._utterance(began, frames)
                if self._at_ms - recorded_ms >= _PROGRESS_MS:
                    recorded_ms = self._at_ms
                    yield self._progress()
        yield self._progress()
        yield await anyio.to_thread.run_sync(self._comparison)

    async def _frames(self) -> AsyncGenerator[bytes, None]:
        """Frames of the sound. A long gap is cut: its length is whatever a client or a bundle says."""
        playback, rest, end_ms = Playback(), b"", self._at_ms
        pieces = recorded_pieces(self._log, self._session, self._stored.name, after=self._stored.first_audio)
        async with aclosing(pieces):
            async for piece in pieces:
                if piece.at_ms > end_ms + _GAP_MS:
                    yield _last_frame(rest + playback.flush())
                    for _ in range(_GAP_MS // FRAME_MS):
                        yield bytes(FRAME_BYTES)
                        await checkpoint()
                    playback, rest = Playback(), b""
                    self._begin(piece.at_ms)
                end_ms = max(end_ms, piece.at_ms + piece.ms)
                sound = rest + playback.push(piece)
                whole = len(sound) // FRAME_BYTES * FRAME_BYTES
                rest = sound[whole:]
                for start in range(0, whole, FRAME_BYTES):
                    yield sound[start : start + FRAME_BYTES]
                await checkpoint()
        if rest := rest + playback.flush():
            yield _last_frame(rest)

    def _push_audio(self, frame: bytes) -> list[Event]:
        self._ring_buffer.push(frame)
        self._at_ms += FRAME_MS
        return self._endpointer.push(*self._vad.probabilities(frame))

    async def _utterance(self, began: Began, frames: AsyncGenerator[bytes, None]) -> Began | None:
        """To its end, and written down in both ways; where it was cut, what begins there."""
        clock = AudioClock(self._at_ms / 1_000)
        engines = (
            TimedSpeechToText(self._transcribers.realtime, clock),
            TimedSpeechToText(self._transcribers.quality, clock),
        )
        async with anyio.create_task_group() as tasks:
            transcriber = UtteranceTranscriber(
                Transcribers(*engines),
                self._settings,
                self._language,
                self._ring_buffer,
                clock,
                tasks,
                max(self._done_ms, began.at_ms - self._settings.endpointing.prefix_padding_ms),
            )
            ended, again = await self._until_end(transcriber, clock, frames)
            self._done_ms = ended.end_ms
            timed = TimedUtterance(transcriber, clock, ended, self._settings)
            tasks.start_soon(timed.write)
            await clock.until(lambda: timed.done)
            tasks.cancel_scope.cancel()
        self._keep(ended, timed, engines)
        self._go_on_or_give_up(timed)
        return again

    async def _until_end(
        self, transcriber: UtteranceTranscriber, clock: AudioClock, frames: AsyncGenerator[bytes, None]
    ) -> tuple[Ended, Began | None]:
        async for frame in frames:
            await clock.advance((self._at_ms + FRAME_MS) / 1_000)
            events = self._push_audio(frame)
            for event in events:
                match event:
                    case Paused(end_ms):
                        transcriber.pause(end_ms, self._at_ms, self._endpointer.expect)
                    case Resumed():
                        transcriber.go_on()
                    case Ended():
                        return event, _first_began(events)
            transcriber.grow(self._at_ms, nobody)
        [ended] = [event for event in self._endpointer.close() if isinstance(event, Ended)]
        return ended, None

    def _keep(
        self, ended: Ended, timed: TimedUtterance, engines: tuple[TimedSpeechToText, TimedSpeechToText]
    ) -> None:
        first, second = timed.ways
        failed = any(timed.errors)
        self._done.append(
            UtteranceComparison(
                utterance=len(self._done),
                start_ms=ended.start_ms,
                end_ms=ended.end_ms,
                reason=ended.reason,
                ways=(first, second),
                errors=_error_fields(timed.errors),
                words=len(words_of(first.text)),
                differences=() if failed else differences(first.text, second.text),
            )
        )
        for way, error, engine in zip(timed.ways, timed.errors, engines, strict=True):
            before = self._costs[way.mode]
            self._costs[way.mode] = before.model_copy(
                update={
                    "engine": way.engine or before.engine,
                    "after_ms": before.after_ms if error else (*before.after_ms, way.after_ms),
                    "failed": before.failed + (error is not None),
                    "requests": before.requests + engine.requests,
                    "decode_ms": round(before.decode_ms + engine.decode_ms, 1),
                    "cpu_ms": round(before.cpu_ms + engine.cpu_ms, 1),
                    "revisions": before.revisions + way.revisions,
                }
            )

    def _go_on_or_give_up(self, timed: TimedUtterance) -> None:
        """An engine that fails now and then costs these utterances; one that is gone costs the report."""
        error = next(filter(None, timed.errors), None)
        self._in_a_row = self._in_a_row + 1 if error else 0
        if error is not None and self._in_a_row >= _IN_A_ROW:
            raise error

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


def _last_frame(rest: bytes) -> bytes:
    return rest[:FRAME_BYTES].ljust(FRAME_BYTES, b"\0")


def _first_began(events: list[Event]) -> Began | None:
    return next((event for event in events if isinstance(event, Began)), None)


def _error_fields(errors: Sequence[EngineError | None]) -> tuple[str, str]:
    first, second = (str(error or "") for error in errors)
    return first, second


_RETRY_S: Final = 10.0


class Reruns:
    """Of one process: one at a time, since live callers need the engines more."""

    def __init__(
        self,
        log: EventLog,
        transcribers: Transcribers,
        vad: Callable[[], Vad],
        heard: Callable[[str, int], Awaitable[None]] | None = None,
    ) -> None:
        """`heard` takes so many ms from a principal's allowance, or raises LimitReached."""
        self._log = log
        self._transcribers = transcribers
        self._vad = vad
        self._heard = heard
        self._running = False

    async def lines(
        self, session: SessionId, listening: ListeningSettings, principal: str = ""
    ) -> AsyncGenerator[ComparisonProgress | ComparisonReport, None]:
        """Progress, then the report. Raises GatewayBusy or HeardLimit at once, EngineError, or what the log
        raises."""
        if self._running:
            raise GatewayBusy(
                "this replica compares already; try again when it is done", retry_after_s=_RETRY_S
            )
        self._running = True
        try:
            settings = as_live(listening)
            inputs: list[InputComparison] = []
            all_stored = await stored_inputs(self._log, session)
            if self._heard is not None:  # both ways
                await self._heard(principal, 2 * sum(one.heard_ms for one in all_stored))
            for stored in all_stored:
                rerun = Rerun(self._log, session, stored, settings, self._transcribers, self._vad())
                async with aclosing(rerun.lines()) as lines:
                    async for line in lines:
                        if isinstance(line, InputComparison):
                            inputs.append(line)
                        else:
                            yield line
            yield ComparisonReport(session_id=session, listening=settings, inputs=tuple(inputs))
        finally:
            self._running = False


def as_live(listening: ListeningSettings) -> ListeningSettings:
    """As a microphone has them that nobody presses a button on; no server elsewhere is asked."""
    changes = {"mode": "realtime", "compare": False, "turn_detection": "vad", "provider": None}
    return listening.model_copy(update=changes)
