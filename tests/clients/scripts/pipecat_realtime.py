"""Pipecat with our Realtime socket as speech to text, model and voice at once, and as the first alone."""

import time
from typing import Any

from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    FunctionCallResultFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMMessagesAppendFrame,
    TranscriptionFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime.events import (
    AudioConfiguration,
    AudioInput,
    InputAudioTranscription,
    SessionProperties,
)
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.services.openai.stt import OpenAIRealtimeSTTService
from pipecat_call import WEATHER, called, main, pcm_of


def service(url: str) -> list[FrameProcessor]:
    heard = AudioConfiguration(input=AudioInput(transcription=InputAudioTranscription()))
    llm = OpenAIRealtimeLLMService(
        api_key="any",
        base_url=f"{url.replace('http', 'ws', 1)}/v1/realtime",
        settings=OpenAIRealtimeLLMService.Settings(
            system_instruction="You tell stories.", session_properties=SessionProperties(audio=heard)
        ),
    )

    async def weather(params: FunctionCallParams) -> None:
        await params.result_callback({"weather": f"It rains in {params.arguments['city']}."})

    llm.register_function("get_weather", weather)
    return [llm]


async def talk(url: str, sound: str) -> dict[str, Any]:
    """Say something and hear the whole answer."""
    context = LLMContext([])
    async with called(lambda _: service(url), context) as call:
        began = time.monotonic()
        call.microphone.say(pcm_of(sound))
        for step, kind in (
            ("transcription", TranscriptionFrame),
            ("bot_started", BotStartedSpeakingFrame),
            ("bot_stopped", BotStoppedSpeakingFrame),
        ):
            call.times[step] = round(await call.watcher.until(kind) - began, 2)
    return call.watcher.told() | {"heard_s": call.heard_s, "times": call.times, "messages": context.messages}


async def interrupt(url: str, sound: str, heard_s: float) -> dict[str, Any]:
    """Speak while the answer is being spoken; the server hears it, and Pipecat stops playing."""
    context = LLMContext([])
    async with called(lambda _: service(url), context) as call:
        pcm = pcm_of(sound)
        call.microphone.say(pcm)
        await call.watcher.until(BotStartedSpeakingFrame)
        await call.watcher.met(lambda: call.heard_s >= heard_s)
        since = len(call.watcher.frames)
        began = time.monotonic()
        call.microphone.say(pcm)
        call.times["interrupted"] = round(await call.watcher.until(InterruptionFrame, since=since) - began, 2)
        since = len(call.watcher.frames)
        heard = call.heard_s
        await call.watcher.until(TranscriptionFrame, since=since)
        await call.watcher.until(BotStartedSpeakingFrame, since=since)
        call.times["next_answer"] = round(time.monotonic() - began, 2)
    return call.watcher.told() | {"heard_s": heard, "times": call.times, "messages": context.messages}


async def function(url: str) -> dict[str, Any]:
    """Write a question for which the model calls a function, and hear what it says of the result."""
    context = LLMContext([], tools=ToolsSchema(standard_tools=[WEATHER]))
    async with called(lambda _: service(url), context) as call:
        began = time.monotonic()
        asked = {"role": "user", "content": "How is the weather?"}
        await call.worker.queue_frame(LLMMessagesAppendFrame([asked], run_llm=True))
        await call.watcher.until(FunctionCallResultFrame)
        await call.watcher.until(LLMFullResponseEndFrame, count=2)
        await call.watcher.until(BotStoppedSpeakingFrame)
        call.mark("spoken", began)
    return call.watcher.told() | {"times": call.times, "messages": context.messages}


async def transcribe(url: str, sound: str, server_vad: bool) -> dict[str, Any]:
    """A transcription session: what is said is written down, and nothing answers."""
    stt = OpenAIRealtimeSTTService(
        api_key="any",
        base_url=f"{url.replace('http', 'ws', 1)}/v1/realtime",
        turn_detection={"type": "server_vad"} if server_vad else False,
        settings=OpenAIRealtimeSTTService.Settings(model="gpt-transcribe"),
    )
    async with called(lambda _: [stt, Nothing()], LLMContext([])) as call:
        began = time.monotonic()
        call.microphone.say(pcm_of(sound))
        await call.watcher.until(TranscriptionFrame)
        call.mark("transcription", began)
    return call.watcher.told() | {"times": call.times}


class Nothing(FrameProcessor):
    """Stand-in for the model."""

    async def process_frame(self, frame: Any, direction: Any) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


if __name__ == "__main__":
    main({"talk": talk, "interrupt": interrupt, "function": function, "transcribe": transcribe})
