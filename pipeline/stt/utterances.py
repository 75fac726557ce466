"""Utterances that are over: written down, in order, and taken for what they are."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Final

import anyio
from anyio.abc import TaskGroup

from pipeline.core.texts import internal_key
from pipeline.sessions.session_commands import Overtaken, SpokenQuestion
from pipeline.stt.evaluation.transcript_comparison import compare
from pipeline.stt.inputs.input_opening import InputServices, Opening
from pipeline.stt.serial_task_queue import SerialTaskQueue
from pipeline.stt.speaker_level import UtteranceLevel
from pipeline.stt.turn_policy import FinalUtterance, UtteranceDecision, decide
from pipeline.stt.utterance_span import transcribed
from pipeline.stt.utterance_transcriber import SpeculativeText, Tell, UtteranceTranscriber
from schemas.errors import EngineBusy, EngineError, InputError, RhapsodeError, StateError
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
    """Of one input. The first gateway that transcribes an utterance counts: its events have keys."""

    def __init__(
        self, opening: Opening, services: InputServices, jobs: SerialTaskQueue, refused: Refused | None
    ) -> None:
        self.interruption = services.interruption(opening.session)
        self._refused = refused
        self._opening = opening
        self._services = services
        self._jobs = jobs
        self._room = anyio.Semaphore(_AT_ONCE)
        self._last = anyio.Event()
        """Set when the latest utterance is settled."""
        self._last.set()
        self._language = ""
        """Of the latest transcript that has words."""
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
        await self._jobs.put(self._let_go)

    async def _let_go(self) -> None:
        if not self._opening.is_file:  # that holds nothing
            await self.interruption.release()

    async def write(
        self,
        ended: SpeechEnded,
        transcriber: UtteranceTranscriber,
        settings: ListeningSettings,
        level: UtteranceLevel,
        tasks: TaskGroup,
        *,
        arrived: float,
        tell: Tell,
    ) -> None:
        """Begin to write it down; waits only when too many are being written down."""
        await self._room.acquire()
        before, self._last = self._last, anyio.Event()
        self._beginnings[ended.utterance] = ended.start_ms
        finished = _FinishedUtterance(ended, transcriber, settings, level, arrived, tell)
        tasks.start_soon(self._settle, finished, before, self._last)

    async def _settle(self, finished: "_FinishedUtterance", before: anyio.Event, done: anyio.Event) -> None:
        """Write it down, record that in its turn, then compare. A file waits for its comparisons."""
        room = ExitStack()
        room.callback(self._room.release)
        with room:
            try:
                written, after_ms = await self._write_down(finished, before)
                if not (self._opening.is_file and finished.settings.compare):
                    room.close()
                await before.wait()
                await self._jobs.flush()
                recorded = written is not None and await self._record(finished, written, after_ms)
            finally:
                self._beginnings.pop(finished.ended.utterance, None)
                done.set()
            if written is not None and recorded and self._compares(finished, written):
                await self._compare(finished, written, after_ms)

    async def _write_down(
        self, finished: "_FinishedUtterance", before: anyio.Event
    ) -> tuple[SpeculativeText | None, float]:
        """Returns the transcript and its delay in ms. None: the failure is recorded."""
        try:
            written = await finished.transcriber.final(finished.ended.end_ms, finished.tell)
        except (EngineError, InputError) as error:
            await before.wait()
            await self._fail(finished, error)
            return None, 0.0
        return written, (self._services.clock.monotonic() - finished.arrived) * 1_000

    async def _fail(self, finished: "_FinishedUtterance", error: RhapsodeError) -> None:
        event = TranscriptFailed(
            input=self._opening.input,
            utterance=finished.ended.utterance,
            mode=finished.settings.mode,
            code=error.code,
            message=str(error),
        )
        if not await self._is_done(finished):
            await self._services.recorder.post(
                self._opening.session, event, key=self._key(finished, "written")
            )
        await self._let_go()
        if self._ends_speech(finished):
            await self.ask_the_rest()

    def _ends_speech(self, finished: "_FinishedUtterance") -> bool:
        return finished.ended.reason != "max_length" and not self._opening.is_file

    async def _is_done(self, finished: "_FinishedUtterance") -> bool:
        """True if an earlier handler recorded the utterance, or the client cleared it meanwhile."""
        conversation, _ = await self._services.sessions.view(self._opening.session)
        state = conversation.inputs.get(self._opening.input)
        return state is not None and finished.ended.utterance in state.done

    async def _record(
        self, finished: "_FinishedUtterance", written: SpeculativeText, after_ms: float
    ) -> bool:
        """The transcript, and what follows from it, together. False: it was done with already."""
        if await self._is_done(finished):
            # If it was a question, its answer is not spoken over by it.
            await self._let_go()
            return False
        while True:
            try:
                await self._take(finished, written, after_ms)
            except Overtaken:
                continue  # now the answer is heard: that is another matter
            return True

    async def _take(self, finished: "_FinishedUtterance", written: SpeculativeText, after_ms: float) -> None:
        sessions, session = self._services.sessions, self._opening.session
        conversation, _ = await sessions.view(session)
        transcript = written.transcript
        utterance = FinalUtterance(
            self._opening.input,
            finished.ended.utterance,
            transcript.text,
            transcript.language,
            self._ends_speech(finished),
            distant=self.interruption.usual.is_distant(finished.level, finished.settings.distant_db),
            over=finished.level.over,
        )
        if transcript.text:
            self._language = transcript.language
        decision = decide(conversation, utterance, finished.settings, self._services.clock.now_ms())
        await self.interruption.settle(decision, finished.settings, finished.level)
        final = _final(finished, written, decision, after_ms)
        key = self._key(finished, "written")
        if not decision.question:
            await self._services.recorder.post(session, final, key=key)
            return
        question = SpokenQuestion(
            decision.question, utterance.input, decision.utterances, decision.merges, self._language
        )
        try:
            turn = await sessions.say(session, question, final, key=key)
            _tell_trace(turn, finished, final, self._services.clock.monotonic())
        except (StateError, InputError, EngineError) as error:
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
        text = " ".join(text for _, text in state.kept)
        question = SpokenQuestion(text, state.name, numbers, language=self._language)
        try:
            await sessions.say(session, question, key=internal_key("input", state.name, numbers[-1], "rest"))
        except (StateError, InputError, EngineError) as error:
            await self._tell_refused(error)

    async def _tell_refused(self, error: RhapsodeError) -> None:
        log.info("session %s: what was said is not answered: %s", self._opening.session, error)
        if self._refused is not None:
            await self._refused(error)

    def _compares(self, finished: "_FinishedUtterance", written: SpeculativeText) -> bool:
        return finished.settings.compare and bool(written.transcript.text) and self._comparing < _COMPARED

    async def _compare(
        self, finished: "_FinishedUtterance", written: SpeculativeText, after_ms: float
    ) -> None:
        """The other way on the same sound; no answer waits for it."""
        self._comparing += 1
        try:
            event = await self._compare_patiently(finished, written, after_ms)
        except EngineError as error:
            log.info("utterance %d could not be compared: %s", finished.ended.utterance, error)
            return
        else:
            await self._services.recorder.post(
                self._opening.session, event, key=self._key(finished, "compared")
            )
        finally:
            self._comparing -= 1
            self._compared.set()

    async def _compare_patiently(
        self, finished: "_FinishedUtterance", written: SpeculativeText, after_ms: float
    ) -> TranscriptCompared:
        waited_ms = finished.ended.at_ms - finished.ended.end_ms
        for _ in range(_BUSY_TRIES):
            try:
                return await compare(finished.transcriber, finished.ended, written, after_ms, waited_ms)
            except EngineBusy:
                await self._services.clock.sleep(_BUSY_S)
        return await compare(finished.transcriber, finished.ended, written, after_ms, waited_ms)

    def _key(self, finished: "_FinishedUtterance", what: str) -> str:
        return internal_key("input", self._opening.input, finished.ended.utterance, what)


class _FinishedUtterance:
    """Everything that transcribing one utterance needs."""

    def __init__(
        self,
        ended: SpeechEnded,
        transcriber: UtteranceTranscriber,
        settings: ListeningSettings,
        level: UtteranceLevel,
        arrived: float,
        tell: Tell,
    ) -> None:
        self.ended = ended
        self.transcriber = transcriber
        self.settings = settings
        self.level = level
        self.arrived = arrived
        self.tell = tell


def _tell_trace(turn: int, finished: _FinishedUtterance, final: TranscriptFinal, now: float) -> None:
    transcribed(turn, final, since_s=now - finished.arrived, link=finished.transcriber.span.link)


def _final(
    finished: _FinishedUtterance, written: SpeculativeText, decision: UtteranceDecision, after_ms: float
) -> TranscriptFinal:
    transcript, ended = written.transcript, finished.ended
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
        taken=decision.taken,
        after_ms=round(after_ms, 1),
        decode_ms=round(transcript.decode_ms, 1),
        cpu_ms=round(written.cpu_ms, 1),
        revisions=written.revisions,
    )
