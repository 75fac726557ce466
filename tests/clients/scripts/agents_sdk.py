"""The Agents SDK with our chat completions and our Realtime socket; only the base URL is ours."""

import asyncio
import json
import sys
import time
import wave
from contextlib import asynccontextmanager
from typing import Any

import agents
import numpy as np
from agents import realtime, voice
from openai import AsyncOpenAI
from wav_files import silence, widened

PATIENCE_S = 90.0


@agents.function_tool
def get_weather(city: str) -> str:
    """How the weather is in a city."""
    return f"It rains in {city}."


async def answer(url: str, question: str) -> dict[str, Any]:
    """A text agent, which calls its function by itself."""
    model = agents.OpenAIChatCompletionsModel(
        model="gpt-4.1", openai_client=AsyncOpenAI(base_url=f"{url}/v1", api_key="any")
    )
    agent = agents.Agent(name="Keeper", instructions="Be brief.", model=model, tools=[get_weather])
    began = time.monotonic()
    whole = await agents.Runner.run(agent, question)
    times = {"whole": round(time.monotonic() - began, 2)}
    began = time.monotonic()
    streamed = agents.Runner.run_streamed(agent, question)
    kinds = [event.type async for event in streamed.stream_events()]
    times["streamed"] = round(time.monotonic() - began, 2)
    results = [item.output for item in whole.new_items if isinstance(item, agents.ToolCallOutputItem)]
    return {
        "text": whole.final_output,
        "streamed": streamed.final_output,
        "kinds": sorted(set(kinds)),
        "results": results,
        "times": times,
    }


async def pipeline(url: str, sound: str) -> dict[str, Any]:
    """Hear, answer and speak by three requests, as the SDK's voice pipeline does."""
    text = agents.OpenAIChatCompletionsModel(
        model="gpt-4.1", openai_client=AsyncOpenAI(base_url=f"{url}/v1", api_key="any")
    )
    models = voice.OpenAIVoiceModelProvider(base_url=f"{url}/v1", api_key="any")
    flow = voice.SingleAgentVoiceWorkflow(agents.Agent(name="Keeper", model=text))
    config = voice.VoicePipelineConfig(model_provider=models, tracing_disabled=True)
    with wave.open(sound) as file:
        rate, heard = file.getframerate(), file.readframes(file.getnframes())
    spoken = await voice.VoicePipeline(workflow=flow, config=config).run(
        voice.AudioInput(buffer=np.frombuffer(heard, np.int16), frame_rate=rate)
    )
    samples, kinds = 0, set()
    async for event in spoken.stream():
        kinds.add(event.type)
        if event.type == "voice_stream_event_audio" and event.data is not None:
            samples += len(event.data)
    return {"audio_s": samples / 24_000, "kinds": sorted(kinds)}


class Talk:
    """A realtime session, and everything that it told."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.events: list[Any] = []

    async def until(self, kind: str, *, count: int = 1) -> Any:
        """The `count`-th event of this kind from now on; no error may come before."""
        async for event in self.session:
            self.events.append(event)
            if event.type == "error":
                raise RuntimeError(str(event.error))
            count -= event.type == kind
            if not count:
                return event
        raise RuntimeError(f"it ended without {kind}")

    def said(self) -> list[str]:
        histories = [event.history for event in self.events if event.type == "history_updated"]
        messages = [item for item in histories[-1] if item.type == "message" and item.role == "assistant"]
        return [getattr(part, "transcript", None) or "" for item in messages for part in item.content]


@asynccontextmanager
async def talking(url: str) -> Any:
    agent = realtime.RealtimeAgent(name="Keeper", instructions="Be brief.", tools=[get_weather])
    socket = url.replace("http", "ws", 1)
    session = await realtime.RealtimeRunner(agent).run(
        model_config={"api_key": "any", "url": f"{socket}/v1/realtime?model=gpt-realtime"}
    )
    async with session:
        yield Talk(session)


async def talk(url: str) -> dict[str, Any]:
    """Write, have a function called, and hear what comes of it."""
    async with talking(url) as call:
        began = time.monotonic()
        await call.session.send_message("How is the weather?")
        called = await call.until("tool_end")
        await call.until("agent_end", count=1)
        while not call.said() or not call.said()[-1]:
            await call.until("history_updated")
        sound = sum(len(event.audio.data) for event in call.events if event.type == "audio")
        times = {"answered": round(time.monotonic() - began, 2)}
        return {"result": called.output, "said": call.said(), "audio_s": sound / 48_000, "times": times}


async def interrupt(url: str, sound: str) -> dict[str, Any]:
    """Speak while it answers; the server hears it."""
    async with talking(url) as call:
        await call.session.send_message("A story, please.")
        await call.until("audio")
        began = time.monotonic()
        await call.session.send_audio(widened(sound) + silence(2))
        await call.until("audio_interrupted")
        times = {"interrupted": round(time.monotonic() - began, 2)}
        await call.until("agent_start")
        await call.until("agent_end")
        times["answered"] = round(time.monotonic() - began, 2)
        return {"said": call.said(), "times": times}


if __name__ == "__main__":
    agents.set_tracing_disabled(True)
    asked = json.loads(sys.argv[1])
    scenario = {"answer": answer, "talk": talk, "interrupt": interrupt, "pipeline": pipeline}[
        asked.pop("scenario")
    ]
    print(json.dumps(asyncio.run(asyncio.wait_for(scenario(**asked), PATIENCE_S))))
