"""Utterances that are over: written down, in order, and taken for what they are."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Final

import anyio
from anyio.abc import TaskGroup

from pipeline.sessions.session_commands import Overtaken, SpokenQuestion
from pipeline.stt.evaluation.transcript_comparison import compare
from pipeline.stt.inputs.input_opening import IntakeServices, Opening
from pipeline.stt.serial_task_queue import SerialTaskQueue
from pipeline.stt.turn_policy import FinalUtterance, UtteranceDecision, decide
from pipeline.stt.utterance_span import transcribed
from pipeline.stt.utterance_transcriber import SpeculativeText, Tell, UtteranceTranscriber
from schemas.errors import EngineBusy, EngineError, InputError, InputTooLong, RhapsodeError, StateError
from schemas.events.voice_events import (
    HeardWord,
    SpeechEnded,
    TranscriptCompared,
    TranscriptFailed,
    TranscriptFinal,
)
from schemas.settings.listening_settings import ListeningSettings

log = logging.getLogger(__name__)

_AT_ONCE: Final = 4
"""Utterances of one input that are written down at a time; when there are more, listening waits."""
_COMPARED: Final = 8
"""Utterances of a microphone that wait to be compared; more of them are not: nobody may wait for that."""
_BUSY_S: Final = 0.25
_BUSY_TRIES: Final = 120
"""An engine has half a minute for those who are in a hurry, before one is not compared."""


Refused = Callable[[RhapsodeError], Awaitable[None]]


class Utterances:
    """Of one input. Whoever writes an utterance down first has written it down: its events have keys."""

    def __init__(
        self, opening: Opening, services: IntakeServices, outbox: SerialTaskQueue, refused: Refused | None
    ) -> None:
        self.attention = services.attention(opening.session)
        self._refused = refused
        self._opening = opening
        self._services = services
        self._outbox = outbox
        self._room = anyio.Semaphore(_AT_ONCE)
        self._last = anyio.Event()
        """Set when the latest utterance is settled."""
        self._last.set()
        self._beginnings: dict[int, int] = {}
        self._comparing = 0
        self._compared = anyio.Event()

    def unwritten_ms(self, otherwise: int) -> int:
        """Milliseconds at which the first untranscribed utterance began."""
        return min(self._beginnings.values(), default=otherwise)

    async def settled(self) -> None:
        """Return when every utterance is written down."""
        await self._last.wait()

    async def compared(self) -> None:
        """Return when nothing is being compared any more."""
        while self._comparing:
            self._compared = anyio.Event()
            await self._compared.wait()

    async def release(self) -> None:
        """It was no speech: what was held goes on."""
        await self._outbox.put(self._let_go)

    async def _let_go(self) -> None:
        if not self._opening.is_file:  # that holds nothing
            await self.attention.release()

    async def write(
        self,
        ended: SpeechEnded,
        scribe: UtteranceTranscriber,
        settings: ListeningSettings,
        tasks: TaskGroup,
        *,
        arrived: float,
        tell: Tell,
    ) -> None:
        """Begin to write it down; waits only when too many are being written down."""
        await self._room.acquire()
        before, self._last = self._last, anyio.Event()
        self._beginnings[ended.utterance] = ended.start_ms
        pen = _Pen(ended, scribe, settings, arrived, tell)
        tasks.start_soon(self._settle, pen, before, self._last)

    async def _settle(self, pen: "_Pen", before: anyio.Event, done: anyio.Event) -> None:
        """Write it down, record that in its turn, then compare. A file waits for its comparisons."""
        room = ExitStack()
        room.callback(self._room.release)
        with room:
            try:
                written, after_ms = await self._write_down(pen, before)
                if not (self._opening.is_file and pen.settings.compare):
                    room.close()
                await before.wait()
                await self._outbox.flush()
                recorded = written is not None and await self._record(pen, written, after_ms)
            finally:
                self._beginnings.pop(pen.ended.utterance, None)
                done.set()
            if written is not None and recorded and self._compares(pen, written):
                await self._compare(pen, written, after_ms)

    async def _write_down(self, pen: "_Pen", before: anyio.Event) -> tuple[SpeculativeText | None, float]:
        """Returns the transcript and its delay in ms. None: the failure is recorded."""
        try:
            written = await pen.scribe.final(pen.ended.end_ms, pen.tell)
        except (EngineError, InputError) as error:
            await before.wait()
            await self._fail(pen, error)
            return None, 0.0
        return written, (self._services.clock.monotonic() - pen.arrived) * 1_000

    async def _fail(self, pen: "_Pen", error: RhapsodeError) -> None:
        event = TranscriptFailed(
            input=self._opening.input,
            utterance=pen.ended.utterance,
            mode=pen.settings.mode,
            code=error.code,
            message=str(error),
        )
        if not await self._is_done(pen):
            await self._services.recorder.post(self._opening.session, event, key=self._key(pen, "written"))
        await self._let_go()
        if self._ends_speech(pen):
            await self.ask_the_rest()

    def _ends_speech(self, pen: "_Pen") -> bool:
        return pen.ended.reason != "max_length" and not self._opening.is_file

    async def _is_done(self, pen: "_Pen") -> bool:
        """True if an earlier handler recorded the utterance, or the client cleared it meanwhile."""
        conversation, _ = await self._services.sessions.view(self._opening.session)
        state = conversation.inputs.get(self._opening.input)
        return state is not None and pen.ended.utterance in state.done

    async def _record(self, pen: "_Pen", written: SpeculativeText, after_ms: float) -> bool:
        """The transcript, and what follows from it, together. False: it was done with already."""
        if await self._is_done(pen):
            # If it was a question, its answer is not spoken over by it.
            await self._let_go()
            return False
        while True:
            try:
                await self._take(pen, written, after_ms)
            except Overtaken:
                continue  # now the answer is heard: that is another matter
            return True

    async def _take(self, pen: "_Pen", written: SpeculativeText, after_ms: float) -> None:
        sessions, session = self._services.sessions, self._opening.session
        conversation, _ = await sessions.view(session)
        transcript = written.transcript
        said = FinalUtterance(
            self._opening.input,
            pen.ended.utterance,
            transcript.text,
            transcript.language,
            self._ends_speech(pen),
        )
        taking = decide(conversation, said, pen.settings, self._services.clock.now_ms())
        await self.attention.settle(taking, pen.settings)
        final = _final(pen, written, taking, after_ms)
        key = self._key(pen, "written")
        if not taking.question:
            await self._services.recorder.post(session, final, key=key)
            return
        question = SpokenQuestion(taking.question, said.input, taking.utterances, taking.merges)
        try:
            turn = await sessions.say(session, question, final, key=key)
            _tell_trace(turn, pen, final, self._services.clock.monotonic())
        except (StateError, InputTooLong) as error:
            final = final.model_copy(update={"taken": "noted"})
            await self._services.recorder.post(session, final, key=key)
            await self._tell_refused(error)

    def ask_what_waits(self, then: Callable[[], Awaitable[None]], tasks: TaskGroup) -> None:
        """A commit in silence: asks what was cut by its length, and calls `then` when that is in the log."""
        before, self._last = self._last, anyio.Event()
        tasks.start_soon(self._ask_after, before, self._last, then)

    async def _ask_after(
        self, before: anyio.Event, done: anyio.Event, then: Callable[[], Awaitable[None]]
    ) -> None:
        try:
            await before.wait()
            await self.ask_the_rest()
            await then()
        finally:
            done.set()

    async def ask_the_rest(self) -> None:
        """Nothing more comes: what waited for more is all."""
        sessions, session = self._services.sessions, self._opening.session
        conversation, _ = await sessions.view(session)
        state = conversation.inputs.get(self._opening.input)
        if state is None or not state.kept or conversation.ended or conversation.ending:
            return
        numbers = tuple(number for number, _ in state.kept)
        question = SpokenQuestion(" ".join(text for _, text in state.kept), state.name, numbers)
        try:
            await sessions.say(session, question, key=f"input:{state.name}:{numbers[-1]}:rest")
        except (StateError, InputTooLong) as error:
            await self._tell_refused(error)

    async def _tell_refused(self, error: RhapsodeError) -> None:
        log.info("session %s: what was said is not answered: %s", self._opening.session, error)
        if self._refused is not None:
            await self._refused(error)

    def _compares(self, pen: "_Pen", written: SpeculativeText) -> bool:
        return pen.settings.compare and bool(written.transcript.text) and self._comparing < _COMPARED

    async def _compare(self, pen: "_Pen", written: SpeculativeText, after_ms: float) -> None:
        """The other way on the same sound; no answer waits for it."""
        self._comparing += 1
        try:
            event = await self._compare_patiently(pen, written, after_ms)
        except EngineError as error:
            log.info("utterance %d could not be compared: %s", pen.ended.utterance, error)
            return
        else:
            await self._services.recorder.post(self._opening.session, event, key=self._key(pen, "compared"))
        finally:
            self._comparing -= 1
            self._compared.set()

    async def _compare_patiently(
        self, pen: "_Pen", written: SpeculativeText, after_ms: float
    ) -> TranscriptCompared:
        waited_ms = pen.ended.at_ms - pen.ended.end_ms
        for _ in range(_BUSY_TRIES):
            try:
                return await compare(pen.scribe, pen.ended, written, after_ms, waited_ms)
            except EngineBusy:
                await self._services.clock.sleep(_BUSY_S)
        return await compare(pen.scribe, pen.ended, written, after_ms, waited_ms)

    def _key(self, pen: "_Pen", what: str) -> str:
        return f"input:{self._opening.input}:{pen.ended.utterance}:{what}"


class _Pen:
    """Everything that transcribing one utterance needs."""

    def __init__(
        self,
        ended: SpeechEnded,
        scribe: UtteranceTranscriber,
        settings: ListeningSettings,
        arrived: float,
        tell: Tell,
    ) -> None:
        self.ended = ended
        self.scribe = scribe
        self.settings = settings
        self.arrived = arrived
        self.tell = tell


def _tell_trace(turn: int, pen: _Pen, final: TranscriptFinal, now: float) -> None:
    transcribed(turn, final, since_s=now - pen.arrived, link=pen.scribe.told.link)


def _final(
    pen: _Pen, written: SpeculativeText, taking: UtteranceDecision, after_ms: float
) -> TranscriptFinal:
    transcript, ended = written.transcript, pen.ended
    words = tuple(
        HeardWord(
            start=word.start,
            end=word.end,
            start_ms=written.from_ms + word.start_ms,
            end_ms=written.from_ms + word.end_ms,
            speaker=word.speaker,
        )
        for word in transcript.words
    )
    return TranscriptFinal(
        input=ended.input,
        utterance=ended.utterance,
        text=transcript.text,
        mode=written.mode,
        engine=transcript.engine,
        language=transcript.language,
        words=words,
        start_ms=ended.start_ms,
        end_ms=ended.end_ms,
        taken=taking.taken,
        after_ms=round(after_ms, 1),
        decode_ms=round(transcript.decode_ms, 1),
        cpu_ms=round(written.cpu_ms, 1),
        revisions=written.revisions,
    )
