"""Pipecat with our endpoints as its speech to text, its model and its voice: only the base URL is ours."""

import time
from typing import Any

from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMMessagesAppendFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.openai.stt import OpenAISTTService
from pipecat.services.openai.tts import OpenAITTSService
from pipecat_call import WEATHER, called, main, pcm_of


def services(url: str, **settings: Any) -> list[FrameProcessor]:
    ours: dict[str, Any] = {"api_key": "any", "base_url": f"{url}/v1"}
    llm = OpenAILLMService(**ours, settings=OpenAILLMService.Settings(**settings))

    async def weather(params: FunctionCallParams) -> None:
        await params.result_callback({"weather": f"It rains in {params.arguments['city']}."})

    llm.register_function("get_weather", weather)
    return [OpenAISTTService(**ours), llm, OpenAITTSService(**ours)]


async def talk(url: str, sound: str, **settings: Any) -> dict[str, Any]:
    """Say something and hear the whole answer."""
    context = LLMContext([{"role": "system", "content": "You answer in one short sentence."}])
    async with called(lambda _: services(url, **settings), context) as call:
        pcm = pcm_of(sound)
        began = time.monotonic()
        call.microphone.say(pcm)
        for step, kind in (
            ("transcription", TranscriptionFrame),
            ("first_text", LLMTextFrame),
            ("first_sound", TTSAudioRawFrame),
            ("bot_started", BotStartedSpeakingFrame),
            ("bot_stopped", BotStoppedSpeakingFrame),
        ):
            call.times[step] = round(await call.watcher.until(kind) - began, 2)
    messages = [message for message in context.messages if message["role"] != "system"]
    return call.watcher.told() | {"heard_s": call.heard_s, "times": call.times, "messages": messages}


async def interrupt(url: str, sound: str, heard_s: float) -> dict[str, Any]:
    """Speak while the answer is being spoken; hear the next answer begin."""
    context = LLMContext([{"role": "system", "content": "You tell stories."}])
    async with called(lambda _: services(url), context) as call:
        pcm = pcm_of(sound)
        call.microphone.say(pcm)
        await call.watcher.until(BotStartedSpeakingFrame)
        await call.watcher.met(lambda: call.heard_s >= heard_s)
        began = time.monotonic()
        call.microphone.say(pcm)
        since = len(call.watcher.frames)
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
    async with called(lambda _: services(url), context) as call:
        began = time.monotonic()
        asked = {"role": "user", "content": "How is the weather?"}
        await call.worker.queue_frame(LLMMessagesAppendFrame([asked], run_llm=True))
        await call.watcher.until(LLMFullResponseEndFrame, count=2)
        await call.watcher.until(BotStoppedSpeakingFrame)
        call.mark("spoken", began)
    return call.watcher.told() | {"times": call.times, "messages": context.messages}


if __name__ == "__main__":
    main({"talk": talk, "interrupt": interrupt, "function": function})
