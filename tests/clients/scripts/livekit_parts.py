"""LiveKit's openai plugin without a room: its speech to text, its model and its voice at our endpoints."""

import asyncio
import json
import sys
import time
import wave
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from livekit import rtc
from livekit.agents import APIError, function_tool, llm, stt
from livekit.agents.utils import http_context
from livekit.plugins import openai

PATIENCE_S = 90.0


@function_tool
async def get_weather(city: str) -> str:
    """How the weather is.

    Args:
        city: Where.
    """
    return f"It rains in {city}."


def ours(url: str) -> dict[str, Any]:
    return {"base_url": f"{url}/v1", "api_key": "any"}


def frames_of(path: str) -> list[rtc.AudioFrame]:
    """A file of sound, 50 ms at a time."""
    with wave.open(path, "rb") as sound:
        rate, pcm = sound.getframerate(), sound.readframes(sound.getnframes())
    size = rate // 20 * 2
    pieces = [pcm[start : start + size] for start in range(0, len(pcm), size)]
    return [rtc.AudioFrame(piece, rate, 1, len(piece) // 2) for piece in pieces]


def quiet(seconds: float, rate: int = 16_000) -> list[rtc.AudioFrame]:
    return [rtc.AudioFrame(bytes(rate // 10), rate, 1, rate // 20) for _ in range(round(seconds * 20))]


async def recognize(url: str, sound: str, models: list[str]) -> dict[str, Any]:
    """A whole file by one request, by each of these models."""
    told: dict[str, Any] = {"times": {}, "texts": {}, "errors": {}}
    for model in models:
        async with openai.STT(**ours(url), model=model) as transcriber:
            began = time.monotonic()
            try:
                event = await transcriber.recognize(frames_of(sound))
                told["texts"][model] = event.alternatives[0].text
            except APIError as error:
                told["errors"][model] = str(error)
            told["times"][model] = round(time.monotonic() - began, 2)
    return told


async def listen(url: str, sound: str, model: str) -> dict[str, Any]:
    """Speech as it is spoken, by a transcription session; this plugin calls that use_realtime."""
    events: list[stt.SpeechEvent] = []
    began = time.monotonic()
    async with (
        openai.STT(**ours(url), model=model, use_realtime=True) as transcriber,
        transcriber.stream() as stream,
    ):
        for frame in frames_of(sound) + quiet(2):
            stream.push_frame(frame)
        async for event in stream:
            events.append(event)
            if event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
                break
    final = events[-1].alternatives[0].text
    return {
        "kinds": [event.type for event in events],
        "text": final,
        "times": {"final": round(time.monotonic() - began, 2)},
    }


async def chat(url: str, question: str, **options: Any) -> dict[str, Any]:
    """Ask; call the function that the model wants to be called, and let it go on."""
    context = llm.ChatContext.empty()
    context.add_message(role="system", content="You are brief.")
    context.add_message(role="user", content=question)
    told: dict[str, Any] = {"calls": [], "usage": [], "times": {}}
    async with openai.LLM(**ours(url), **options) as model:
        began = time.monotonic()
        first = await model.chat(chat_ctx=context, tools=[get_weather]).collect()
        told["times"]["first"] = round(time.monotonic() - began, 2)
        for call in first.tool_calls:
            told["calls"].append([call.name, json.loads(call.arguments)])
            made = await llm.execute_function_call(call, llm.ToolContext([get_weather]))
            context.insert([made.fnc_call, made.fnc_call_out])
        told["usage"].append(first.usage.total_tokens if first.usage else None)
        last = first
        if first.tool_calls:
            last = await model.chat(chat_ctx=context, tools=[get_weather]).collect()
        told["times"]["last"] = round(time.monotonic() - began, 2)
    return told | {"text": last.text}


async def leave(url: str) -> dict[str, Any]:
    """Stop reading after the first words, as an interrupted agent does."""
    context = llm.ChatContext.empty()
    context.add_message(role="user", content="A story, please.")
    text = ""
    async with openai.LLM(**ours(url)) as model, model.chat(chat_ctx=context) as stream:
        async for chunk in stream:
            text += (chunk.delta.content or "") if chunk.delta else ""
            if len(text) > 20:
                break
    return {"text": text}


async def speak(url: str, text: str, options: list[dict[str, Any]]) -> dict[str, Any]:
    """The same sentence in each of these ways: how long it lasts, and how loud it is."""
    told: dict[str, Any] = {"seconds": [], "peaks": [], "times": {}}
    for option in options:
        async with openai.TTS(**ours(url), **option) as voice:
            began = time.monotonic()
            frame = await voice.synthesize(text).collect()
            told["times"][str(option)] = round(time.monotonic() - began, 2)
            told["seconds"].append(frame.duration)
            told["peaks"].append(max(abs(sample) for sample in frame.data))
    return told


@asynccontextmanager
async def _http() -> AsyncGenerator[aiohttp.ClientSession, None]:
    """Outside of a job of LiveKit's somebody must open what its plugins connect with."""
    async with http_context.open() as session:
        yield session


def main(scenarios: dict[str, Any]) -> None:
    """Run what the only argument, a JSON object, asks for; print what came of it as JSON."""
    asked = json.loads(sys.argv[1])

    async def run() -> Any:
        async with asyncio.timeout(PATIENCE_S), _http():
            return await scenarios[asked.pop("scenario")](**asked)

    print(json.dumps(asyncio.run(run())))


if __name__ == "__main__":
    main({"recognize": recognize, "listen": listen, "chat": chat, "leave": leave, "speak": speak})
