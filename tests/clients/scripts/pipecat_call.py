"""Parts that Pipecat's scripts share: a call without a telephone, and a participant that notes events."""

import asyncio
import json
import sys
import time
import wave
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from loguru import logger
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    FunctionCallResultFrame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    StartFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

WEATHER = FunctionSchema(
    name="get_weather",
    description="How the weather is in a city",
    properties={"city": {"type": "string"}},
    required=["city"],
)
PIECE_S = 0.02
PATIENCE_S = 90.0


class Microphone(BaseInputTransport):
    """Sends 20 ms at a time in real time: what is to be said, else silence."""

    def __init__(self, params: TransportParams) -> None:
        super().__init__(params)
        self._to_say = bytearray()
        self._speaking: asyncio.Task[None] | None = None

    def say(self, pcm: bytes) -> None:
        self._to_say += pcm

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)
        self._speaking = self.create_task(self._speak())

    async def _speak(self) -> None:
        size = int(self.sample_rate * PIECE_S) * 2
        due = time.monotonic()
        while True:
            piece = bytes(self._to_say[:size]).ljust(size, b"\0")
            del self._to_say[:size]
            await self.push_audio_frame(InputAudioRawFrame(piece, self.sample_rate, 1))
            due += PIECE_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def cleanup(self) -> None:
        if self._speaking is not None:
            await self.cancel_task(self._speaking)
        await super().cleanup()


class Loudspeaker(BaseOutputTransport):
    """Takes as long to play as a real one, and remembers what was heard."""

    def __init__(self, params: TransportParams) -> None:
        super().__init__(params)
        self.heard = bytearray()

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        self.heard += frame.audio
        await asyncio.sleep(len(frame.audio) / 2 / frame.sample_rate)
        return True


class Watcher(BaseObserver):
    """Every frame once, with when it came; somebody may wait for one."""

    def __init__(self) -> None:
        super().__init__(observe_every_push=False)
        self.frames: list[tuple[float, Frame]] = []
        self._changed = asyncio.Event()

    async def on_push_frame(self, data: FramePushed) -> None:
        played = isinstance(data.frame, OutputAudioRawFrame) and isinstance(data.source, Loudspeaker)
        if not played and not isinstance(data.frame, InputAudioRawFrame):
            self.frames.append((time.monotonic(), data.frame))
            self._changed.set()

    def of(self, kind: type[Frame], since: int = 0) -> list[Any]:
        """Those of exactly this kind; some are sent both ways, as two frames that name each other."""
        found: dict[int, Frame] = {}
        for _, frame in self.frames[since:]:
            if type(frame) is kind:
                found[min(frame.id, getattr(frame, "broadcast_sibling_id", None) or frame.id)] = frame
        return list(found.values())

    async def until(self, kind: type[Frame], *, count: int = 1, since: int = 0) -> float:
        """When the `count`-th of this kind since then came."""
        return await self.met(lambda: len(self.of(kind, since)) >= count)

    async def met(self, condition: Callable[[], bool]) -> float:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()
        return self.frames[-1][0]

    def told(self) -> dict[str, Any]:
        """Report of a participant."""
        sound = self.of(TTSAudioRawFrame)
        return {
            "transcriptions": [frame.text for frame in self.of(TranscriptionFrame)],
            "text": "".join(frame.text for frame in self.of(LLMTextFrame)),
            "spoken": [frame.text for frame in self.of(TTSTextFrame)],
            "audio_s": sum(len(frame.audio) / 2 / frame.sample_rate for frame in sound),
            "interruptions": len(self.of(InterruptionFrame)),
            "results": [frame.result for frame in self.of(FunctionCallResultFrame)],
            "errors": [frame.error for frame in self.of(ErrorFrame)],
        }


class Call:
    """A pipeline that somebody speaks with."""

    def __init__(self, parts: Callable[[LLMContext], list[FrameProcessor]], context: LLMContext) -> None:
        params = TransportParams(audio_in_enabled=True, audio_out_enabled=True, audio_out_end_silence_secs=0)
        self.context = context
        self.microphone = Microphone(params)
        self.loudspeaker = Loudspeaker(params)
        self.watcher = Watcher()
        self.times: dict[str, float] = {}
        user, assistant = LLMContextAggregatorPair(
            context,
            user_params=LLMUserAggregatorParams(
                vad_analyzer=SileroVADAnalyzer(), user_turn_stop_timeout=PATIENCE_S
            ),
        )
        before, *after = parts(context)
        middle = [before, user, *after] if after else [user, before]
        pipeline = Pipeline([self.microphone, *middle, self.loudspeaker, assistant])
        self.worker = PipelineWorker(
            pipeline,
            cancel_on_idle_timeout=False,
            enable_rtvi=False,
            observers=[self.watcher],
            params=PipelineParams(audio_in_sample_rate=16_000, audio_out_sample_rate=24_000),
        )

    @property
    def heard_s(self) -> float:
        return len(self.loudspeaker.heard) / 48_000

    def mark(self, step: str, since: float) -> None:
        self.times[step] = round(time.monotonic() - since, 2)


@asynccontextmanager
async def called(
    parts: Callable[[LLMContext], list[FrameProcessor]], context: LLMContext
) -> AsyncGenerator[Call, None]:
    """A call that began, until the block ends."""
    call = Call(parts, context)
    started = asyncio.Event()

    @call.worker.event_handler("on_pipeline_started")
    async def begun(*_: Any) -> None:
        started.set()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(call.worker)
    running = asyncio.create_task(runner.run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            await started.wait()
        yield call
        await call.worker.queue_frame(EndFrame())
        async with asyncio.timeout(PATIENCE_S):
            await running
    finally:
        running.cancel()


def pcm_of(path: str) -> bytes:
    """16 kHz, mono."""
    with wave.open(str(Path(path)), "rb") as sound:
        return sound.readframes(sound.getnframes())


def main(scenarios: dict[str, Any]) -> None:
    """Run what the only argument, a JSON object, asks for; print what came of it as JSON."""
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    asked = json.loads(sys.argv[1])
    print(json.dumps(asyncio.run(scenarios[asked.pop("scenario")](**asked))))
