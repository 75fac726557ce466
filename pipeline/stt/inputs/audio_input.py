"""One input being listened to: sound in, events out."""

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal

import anyio
from anyio.abc import TaskGroup

from pipeline.audio.capture import Capture, CapturedPiece
from pipeline.core.texts import internal_key
from pipeline.eventlog.recorder import SessionWriter
from pipeline.session_state.input_state import KnownCommand
from pipeline.stt.audio_ring_buffer import AudioRingBuffer
from pipeline.stt.endpointing import Began, Dropped, Ended, Endpointer, Event, Paused, Resumed
from pipeline.stt.inputs.input_opening import InputServices, Opening, for_source
from pipeline.stt.inputs.input_recovery import SILENCE_MS, lead_ms
from pipeline.stt.inputs.own_voice import OwnVoice
from pipeline.stt.serial_task_queue import SerialTaskQueue
from pipeline.stt.speaker_level import UtteranceLevel
from pipeline.stt.utterance_transcriber import UtteranceTranscriber
from pipeline.stt.utterances import Refused, Utterances
from pipeline.stt.vad import FRAME_BYTES, FRAME_MS, INAUDIBLE, NoiseFloor
from schemas.errors import NoInput, RhapsodeError
from schemas.events.voice_events import (
    InputAudio,
    InputProgress,
    SpeechDiscarded,
    SpeechEnded,
    SpeechStarted,
    TranscriptPartial,
)
from schemas.settings.listening_settings import ListeningSettings

log = logging.getLogger(__name__)

Command = Literal["commit", "clear", "close"]
_REMEMBERED: Final = 2_000
Acknowledge = Callable[[int], Awaitable[None]]
"""Tells the sender up to which millisecond it need not keep the sound."""
_WAITING: Final = 128
"""Pieces of sound that wait to be listened to; when full, so does their sender."""
_KEPT_MS: Final = 90_000
_TELL_MS: Final = 500
"""How often the sender of sound that is not recorded is told what is safe."""
_TELL_SILENCE_MS: Final = 2_000
"""How often the sender of silence that is left out of a record is told that it is safe."""
_PROGRESS_MS: Final = 10_000
_LOOK_MS: Final = 500
"""While nobody speaks, the wishes of the session are looked at so often."""
_FOUND_MS: Final = 1_000
_TOGETHER: Final = 4
"""Frames that are listened to in one go at the most; more of them make acknowledgements late."""


@dataclass(eq=False)
class QueuedCommand:
    """A command on its way, behind the sound that came before it."""

    command: Command
    over: anyio.Event = field(default_factory=anyio.Event)
    executed: bool = False
    """Its consequences are in the log."""

    async def execute(self) -> None:
        self.executed = True
        self.over.set()


class Arrivals:
    """Of one input, as far back as anybody asks. Pure."""

    def __init__(self) -> None:
        self._arrivals: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)

    def note(self, at_ms: int, time: float) -> None:
        """The sound up to `at_ms` is there."""
        self._arrivals.append((at_ms, time))

    def of(self, ms: int, otherwise: float) -> float:
        """When the sound at `ms` came in."""
        return next((arrived for at_ms, arrived in self._arrivals if at_ms >= ms), otherwise)


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


async def unacknowledged(_: int) -> None:
    """For a sender that cannot send sound again."""


class AudioRecorder:
    """Of one input. Sound that is pushed is in the log some time after, and `tell` hears up to where.

    Sound that nobody could hear is left out, but for the first frame and one each SILENCE_MS: a recovered
    input can tell silence from sound that was lost.
    """

    def __init__(
        self, name: str, writer: SessionWriter, jobs: SerialTaskQueue, tell: Acknowledge, *, at_ms: int
    ) -> None:
        self._input = name
        self._writer = writer
        self._jobs = jobs
        self._tell = tell
        self._capture: Capture | None = None
        self.begin(at_ms)

    def begin(self, at_ms: int) -> None:
        """The next push is the sound at `at_ms`, and does not continue the last."""
        self._at_ms = self._kept_ms = self._told_ms = self._due_ms = at_ms

    async def push(self, frame: bytes, *, audible: bool = True) -> None:
        """A frame that goes on where the last one ended."""
        if audible or self._at_ms >= self._due_ms:
            self._capture = self._capture or Capture(at_ms=self._at_ms)
            await self._put(self._capture.push(frame))
            self._kept_ms = self._told_ms = self._at_ms + FRAME_MS
            self._due_ms = self._at_ms + SILENCE_MS
        elif self._capture is not None:
            await self._end_run()
        elif self._at_ms >= self._told_ms + _TELL_SILENCE_MS:
            self._told_ms = self._at_ms
            await self._jobs.put(partial(self._tell, self._at_ms))
        self._at_ms += FRAME_MS

    async def flush(self) -> None:
        """Writes the sound that is buffered, or the last frame of silence, so that all has its length."""
        if self._capture is None and self._at_ms > self._kept_ms:
            self._capture = Capture(at_ms=self._at_ms - FRAME_MS)
            await self._put(self._capture.push(bytes(FRAME_BYTES)))
        await self._end_run()

    async def _end_run(self) -> None:
        capture, self._capture = self._capture, None
        if capture is not None:
            await self._put(capture.flush())

    async def _put(self, pieces: list[CapturedPiece]) -> None:
        for piece in pieces:
            event = InputAudio(
                input=self._input,
                at_ms=piece.at_ms,
                ms=piece.ms,
                bytes=len(piece.packets),
                sha256=piece.sha256,
            )

            async def keep(event: InputAudio = event, packets: bytes = piece.packets) -> None:
                await self._writer.commit(event, audio=packets)
                await self._tell(event.at_ms + event.ms)

            await self._jobs.put(keep)


class InputEventWriter:
    """Records the events of one input in their order; a caller does not wait until they are in the log."""

    def __init__(self, opening: Opening, services: InputServices, jobs: SerialTaskQueue) -> None:
        self._opening = opening
        self._recorder = services.recorder
        self._jobs = jobs
        self._producer = f"input:{opening.input}:{opening.seq}"
        self.writer: SessionWriter = services.recorder.open(opening.session, producer=self._producer)

    async def record_once(self, event: SpeechStarted | SpeechEnded | SpeechDiscarded, what: str) -> None:
        """Posts an event under a key of its own, so that a recovered input cannot record it twice."""
        name = internal_key("input", event.input, event.utterance, what)
        await self._jobs.put(lambda: self._recorder.post(self._opening.session, event, key=name))

    async def record(self, event: InputProgress | TranscriptPartial) -> None:
        await self._jobs.put(lambda: self.writer.record(event))

    def close(self) -> None:
        """No event follows; those recorded before still go into the log."""
        self._recorder.put_away(self._opening.session, producer=self._producer)

    def partials(self, utterance: int) -> Callable[[str, int, int], Awaitable[None]]:
        """Returns a function that records a partial transcript of the utterance."""

        async def record(text: str, stable: int, at_ms: int) -> None:
            await self.record(
                TranscriptPartial(
                    input=self._opening.input, utterance=utterance, text=text, stable=stable, at_ms=at_ms
                )
            )

        return record


class AudioInput:
    """Listens to one input until it is closed. `push_audio` and `command` may wait; one caller at a time."""

    def __init__(
        self, opening: Opening, services: InputServices, acknowledge: Acknowledge, refused: Refused | None
    ) -> None:
        """`acknowledge` is told up to where the sound is safe, `refused` why something is not answered."""
        self.opening = opening
        self.settings = opening.settings
        self.at_ms = opening.at_ms
        """How far was listened."""
        self.asks = True
        """When it is closed, what waited for more is asked."""
        self.abandoned = False
        """No client waits for sound that is not listened to yet."""
        self.failure: RhapsodeError | None = None
        """Why it can go no further, if so."""
        self.tell = acknowledge
        self._services = services
        self._send, self._receive = anyio.create_memory_object_stream[bytes | QueuedCommand](_WAITING)
        self._jobs = SerialTaskQueue()
        self._ring_buffer = AudioRingBuffer(max_ms=_KEPT_MS, at_ms=opening.at_ms)
        self._vad = services.vad()
        if opening.before:
            self._vad.probabilities(opening.before)
        self._endpointer = self._new_endpointer()
        self._arrivals = Arrivals()
        self._blocks = AudioBlocks()
        self._rest = b""
        self._utterance = opening.utterance
        self._transcriber: UtteranceTranscriber | None = None
        self._reported_ms = opening.at_ms
        self._look_ms = opening.at_ms + _LOOK_MS
        self._done_ms = opening.at_ms
        """Up to here the sound belongs to an answer or to utterances that are over, not to the next one."""
        self._spoken_ms = 0
        self._spoken = anyio.Event()
        self._level = UtteranceLevel()
        self._event_writer = InputEventWriter(opening, services, self._jobs)
        self._audio_recorder = AudioRecorder(
            opening.input,
            self._event_writer.writer,
            self._jobs,
            acknowledge,
            at_ms=max(opening.at_ms, opening.recorded_ms),
        )
        self._commands = deque(opening.commands)
        self._back_ms = opening.from_ms + _FOUND_MS if opening.from_ms else None
        """A speaker who came back does not go on with an utterance that was not heard here."""
        self._cut = opening.cut
        """The last utterance was cut by its length, and nobody has ended what it belongs to."""
        self._utterances = Utterances(opening, services, self._jobs, refused)
        self._own_voice = OwnVoice(opening.session, services)

    def _new_endpointer(self) -> Endpointer:
        manual = self.settings.turn_detection == "manual"
        return Endpointer(self.settings.ends, manual=manual, at_ms=self.at_ms)

    async def push_audio(self, pcm: bytes) -> None:
        """16-bit mono PCM at 16 kHz. Raises ClosedResourceError or BrokenResourceError when it is over."""
        await self._hand_over(self._blocks.push(pcm))

    async def _hand_over(self, block: bytes) -> None:
        if block:
            await self._send.send(block)
            await anyio.lowlevel.checkpoint()

    async def command(self, command: Command) -> QueuedCommand:
        """`commit`: the utterance ends here. `clear`: forget it. `close`: nothing more will be heard."""
        queued = QueuedCommand(command)
        await self._hand_over(self._blocks.take())
        await self._send.send(queued)
        return queued

    async def let_go_of_answer(self) -> None:
        """Resumes an answer that was held here: the gateway that has the input now does not know of it."""
        await self._utterances.interruption.give_up()

    async def run(self) -> None:
        """Return when all that was heard before `close` is written down and recorded."""
        try:
            await self._run_commands()
        finally:
            self._event_writer.close()

    async def _run_commands(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._jobs.run)
            if not self.opening.is_file:
                tasks.start_soon(self._attend)
            async with self._receive:
                async for item in self._receive:
                    if isinstance(item, bytes):
                        if not self.abandoned:
                            await self._listen(item, tasks)
                    elif item.command == "close":
                        break
                    else:
                        await self._execute(item, tasks)
            await self._finish(tasks)
            tasks.cancel_scope.cancel()

    async def _finish(self, tasks: TaskGroup) -> None:
        if self.abandoned:
            await self._clear()
        await self._on_events(self._endpointer.close(), tasks)
        await self._utterances.settled()
        await self._utterances.release()
        if self.settings.record:
            await self._audio_recorder.flush()
        await self._jobs.flush()
        if self.asks:
            await self._utterances.ask_the_rest()
        await self._utterances.compared()

    # ------------------------------------------------------------ sound

    async def _listen(self, pcm: bytes, tasks: TaskGroup) -> None:
        if self._transcriber is None and not self.opening.is_file and self.at_ms >= self._look_ms:
            self._look_ms = self.at_ms + _LOOK_MS
            await self._catch_up()
        sound = self._rest + pcm
        whole = len(sound) // FRAME_BYTES * FRAME_BYTES
        self._rest = sound[whole:]
        probabilities = self._vad.probabilities(sound[:whole]) if whole else []
        self._own_voice.echoing = False
        for number, probability in enumerate(probabilities):
            start = number * FRAME_BYTES
            await self._listen_to_frame(sound[start : start + FRAME_BYTES], probability, tasks)
        enough = self._frames_together() * FRAME_BYTES - len(self._rest)
        self._blocks.listened(
            sound[:whole], enough, silent=self._endpointer.silent and not self._own_voice.echoing
        )
        self._arrivals.note(self.at_ms, self._services.clock.monotonic())
        if self._transcriber is not None and self._endpointer.speaking and not self._endpointer.silence_ms:
            self._transcriber.grow(self.at_ms, self._event_writer.partials(self._utterance - 1))
        if self._back_ms is not None and self.at_ms >= self._back_ms and not self._endpointer.speaking:
            self._back_ms = None
            await self._utterances.release()  # an answer that was held before the connection broke
        await self._tell_progress()
        # An ended utterance has its own copy.
        lead = lead_ms(self.settings)
        self._ring_buffer.forget(
            min(self.at_ms - lead, self._transcriber.from_ms if self._transcriber else self.at_ms)
        )
        await anyio.lowlevel.checkpoint()

    def _frames_together(self) -> int:
        """So many frames are listened to in one go: nothing that is decided or shown is later for it."""
        if self._own_voice.echoing:
            return 1
        together = min(self._endpointer.frames_together, _TOGETHER)
        if self._transcriber is None:
            return together
        if self.settings.barge_in and self._spoken_ms < self.settings.interrupt_ms:
            return 1
        if self.settings.partials_ms:
            together = min(together, -(-(self._transcriber.next_partial_ms - self.at_ms) // FRAME_MS))
        return max(1, together)

    async def _listen_to_frame(self, frame: bytes, probability: float, tasks: TaskGroup) -> None:
        self.at_ms += FRAME_MS
        if self.settings.record and self.at_ms > self.opening.recorded_ms:
            await self._audio_recorder.push(frame, audible=probability > INAUDIBLE)
        if not self.opening.is_file and self.settings.turn_detection == "vad":
            # A user who ends utterances by hand is always heard.
            frame, probability = await self._own_voice.take_out(
                frame, probability, self._endpointer.is_voiced
            )
            if self._own_voice.found:
                self._done_ms = self.at_ms
        self._ring_buffer.push(frame)
        events = self._endpointer.push(probability)
        if not self._endpointer.silence_ms:
            self._level.push(frame)
        await self._on_events(events, tasks)
        while self._commands and self.at_ms >= self._commands[0].at_ms:
            await self._repeat(self._commands.popleft(), tasks)
        if self._endpointer.speech_ms > self._spoken_ms:
            self._spoken.set()
        self._spoken_ms = self._endpointer.speech_ms

    async def _tell_progress(self) -> None:
        if self.opening.is_file and self.at_ms - self._reported_ms >= _PROGRESS_MS:
            self._reported_ms = self.at_ms
            await self._event_writer.record(InputProgress(input=self.opening.input, ms=self.at_ms))
        elif not self.settings.record and self.at_ms - self._reported_ms >= _TELL_MS:
            self._reported_ms = self.at_ms
            await self.tell(self._safe_ms())

    def _safe_ms(self) -> int:
        """Milliseconds before which all speech is in the log as text, where the sound is not kept."""
        lead = lead_ms(self.settings)
        open_ms = self._transcriber.from_ms if self._transcriber is not None else self.at_ms - lead
        return max(0, min(open_ms, self._utterances.unwritten_ms(self.at_ms) - lead))

    # ------------------------------------------------------------ utterances

    async def _execute(self, queued: QueuedCommand, tasks: TaskGroup) -> None:
        if queued.command == "clear":
            await self._clear()
        elif self._endpointer.speaking or not self._cut:
            await self._on_events(self._endpointer.commit(), tasks)
        else:
            self._cut = False
            self._utterances.ask_what_waits(queued.execute, tasks)
            return
        await self._jobs.put(queued.execute)

    async def _repeat(self, known: KnownCommand, tasks: TaskGroup) -> None:
        """It was given when this sound was heard for the first time."""
        if known.command == "commit":
            await self._on_events(self._endpointer.commit(), tasks)
        else:
            await self._clear()
        self._utterance = max(self._utterance, known.utterance + 1)

    async def _clear(self) -> None:
        """Discards the speech since the last utterance, its parts that were cut included."""
        self._endpointer.clear()
        self._level = UtteranceLevel()
        self._done_ms = self.at_ms
        transcriber, self._transcriber = self._transcriber, None
        if transcriber is not None:
            transcriber.give_up()
        if transcriber is not None or self._cut:
            self._cut = False
            log_event = SpeechDiscarded(
                input=self.opening.input, utterance=self._utterance - 1, at_ms=self.at_ms
            )
            await self._event_writer.record_once(log_event, "discarded")
        await self._utterances.release()

    async def _on_events(self, events: list[Event], tasks: TaskGroup) -> None:
        for event in events:
            match event:
                case Began():
                    await self._begin(event, tasks)
                case Paused(end_ms) if self._transcriber is not None and not self.opening.is_file:
                    self._transcriber.pause(end_ms, self.at_ms, self._endpointer.expect)
                case Resumed() if self._transcriber is not None:
                    self._transcriber.go_on()
                case Ended():
                    await self._end(event, tasks)
                case Dropped():
                    self._level = UtteranceLevel()
                    await self._utterances.release()

    async def _begin(self, event: Began, tasks: TaskGroup) -> None:
        number, self._utterance = self._utterance, self._utterance + 1
        services = self._services
        self._transcriber = UtteranceTranscriber(
            services.transcribers,
            self.settings,
            self.opening.language,
            self._ring_buffer,
            services.clock,
            tasks,
            max(self._done_ms, event.at_ms - self.settings.endpointing.prefix_padding_ms),
        )
        log_event = SpeechStarted(input=self.opening.input, utterance=number, at_ms=event.at_ms)
        await self._event_writer.record_once(log_event, "started")

    async def _end(self, event: Ended, tasks: TaskGroup) -> None:
        transcriber, self._transcriber = self._transcriber, None
        if transcriber is None:
            return
        number, self._done_ms = self._utterance - 1, event.end_ms
        level, self._level = self._level, UtteranceLevel()
        self._cut = event.reason == "max_length"
        transcriber.end(event.end_ms, event.end_ms if self._cut else event.at_ms)
        log_event = SpeechEnded(
            input=self.opening.input,
            utterance=number,
            start_ms=event.start_ms,
            end_ms=event.end_ms,
            at_ms=event.at_ms,
            reason=event.reason,
        )
        await self._event_writer.record_once(log_event, "ended")
        arrived = self._arrivals.of(event.end_ms, self._services.clock.monotonic())
        await self._utterances.write(
            log_event,
            transcriber,
            self.settings,
            level,
            tasks,
            arrived=arrived,
            tell=self._event_writer.partials(number),
        )
        await self._catch_up()

    async def _catch_up(self) -> None:
        """With the session: what it wants from now on, and who listens to it now."""
        conversation = await self._services.sessions.glance(self.opening.session)
        state = conversation.inputs.get(self.opening.input)
        if state is not None and state.opened > self.opening.seq:
            raise NoInput("this input was opened somewhere else", field="type")
        wished = for_source(conversation.settings.listening, self.opening.source)
        if wished != self.settings and not self._endpointer.speaking:
            await self._adopt(wished)

    async def _adopt(self, wished: ListeningSettings) -> None:
        if self.settings.record and not wished.record:
            await self._audio_recorder.flush()
        if wished.record and not self.settings.record:
            self._audio_recorder.begin(self.at_ms)
        self.settings = wished
        self._endpointer = self._new_endpointer()

    async def _attend(self) -> None:
        """Hold or stop what is heard while somebody speaks, beside the listening."""
        while True:
            await self._spoken.wait()
            self._spoken = anyio.Event()
            await self._utterances.interruption.speech(
                self._spoken_ms, self.settings, self._transcriber, self._level
            )
