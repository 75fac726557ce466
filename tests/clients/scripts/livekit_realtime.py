"""LiveKit's RealtimeModel without a room: a session is driven as its agents drive it."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from livekit import rtc
from livekit.agents import llm
from livekit.plugins import openai
from livekit_parts import frames_of, get_weather, main, ours, quiet


class Talk:
    """A realtime session, and everything that it told."""

    def __init__(self, session: llm.RealtimeSession) -> None:
        self.session = session
        self.generations: asyncio.Queue[llm.GenerationCreatedEvent] = asyncio.Queue()
        self.heard: asyncio.Queue[str] = asyncio.Queue()
        self.started = asyncio.Event()
        self.errors: list[str] = []
        self.kinds: list[str] = []
        session.on("generation_created", self.generations.put_nowait)
        session.on("input_audio_transcription_completed", self._heard)
        session.on("input_speech_started", lambda _: self.started.set())
        session.on("error", lambda event: self.errors.append(str(event.error)))
        session.on("openai_server_event_received", lambda event: self.kinds.append(event["type"]))

    def _heard(self, event: llm.InputTranscriptionCompleted) -> None:
        if event.is_final:
            self.heard.put_nowait(event.transcript)

    def say(self, frames: list[rtc.AudioFrame]) -> None:
        for frame in frames:
            self.session.push_audio(frame)

    async def call(self, made: llm.GenerationCreatedEvent) -> list[llm.FunctionCall]:
        return [call async for call in made.function_stream]

    def told(self) -> dict[str, Any]:
        items = [item for item in self.session.chat_ctx.items if item.type == "message"]
        messages = [[item.role, item.text_content or ""] for item in items]
        return {"errors": self.errors, "messages": messages, "kinds": sorted(set(self.kinds))}


class Answer:
    """Speech of one generation, kept while it is being spoken."""

    def __init__(self) -> None:
        self.id = ""
        self.text = ""
        self.audio_s = 0.0
        self.begun = asyncio.Event()

    async def listen(self, made: llm.GenerationCreatedEvent) -> None:
        async for message in made.message_stream:
            self.id = message.message_id
            async with asyncio.TaskGroup() as both:
                both.create_task(self._read(message))
                both.create_task(self._hear(message))

    async def _read(self, message: llm.MessageGeneration) -> None:
        async for text in message.text_stream:
            self.text += text

    async def _hear(self, message: llm.MessageGeneration) -> None:
        async for frame in message.audio_stream:
            self.audio_s += frame.duration
            if self.audio_s > 0.5:
                self.begun.set()


@asynccontextmanager
async def talking(url: str) -> AsyncGenerator[Talk, None]:
    model = openai.realtime.RealtimeModel(**ours(url))
    session = model.session()
    try:
        talk = Talk(session)
        await session.update_instructions("You tell stories.")
        await session.update_tools([get_weather])
        yield talk
    finally:
        await session.aclose()
        await model.aclose()


async def speak(url: str, sound: str) -> dict[str, Any]:
    """Say something; the server finds where it ends, and answers."""
    async with talking(url) as talk:
        began = time.monotonic()
        talk.say(frames_of(sound) + quiet(2))
        heard = await talk.heard.get()
        times = {"transcription": round(time.monotonic() - began, 2)}
        answer = Answer()
        await answer.listen(await talk.generations.get())
        times["answered"] = round(time.monotonic() - began, 2)
        return talk.told() | {
            "heard": heard,
            "text": answer.text,
            "audio_s": answer.audio_s,
            "times": times,
        }


async def write(url: str, question: str) -> dict[str, Any]:
    """Write something, have it answered, call what is to be called, and have that answered."""
    async with talking(url) as talk:
        began = time.monotonic()
        context = talk.session.chat_ctx.copy()
        context.add_message(role="user", content=question)
        await talk.session.update_chat_ctx(context)
        made = await talk.session.generate_reply()
        calls = await talk.call(made)
        for call in calls:
            asked = llm.FunctionToolCall(name=call.name, arguments=call.arguments, call_id=call.call_id)
            result = await llm.execute_function_call(asked, llm.ToolContext([get_weather]))
            context = talk.session.chat_ctx.copy()
            context.insert(result.fnc_call_out)
            await talk.session.update_chat_ctx(context)
            made = await talk.session.generate_reply()
        answer = Answer()
        await answer.listen(made)
        times = {"answered": round(time.monotonic() - began, 2)}
        called = [[call.name, call.arguments] for call in calls]
        return talk.told() | {
            "calls": called,
            "text": answer.text,
            "audio_s": answer.audio_s,
            "times": times,
        }


async def interrupt(url: str, sound: str) -> dict[str, Any]:
    """Speak while it answers: as agents do, stop it, cut the message to what was heard, and be answered."""
    async with talking(url) as talk:
        made = await talk.session.generate_reply(instructions="Tell a story.")
        assert await talk.generations.get() is made
        first = Answer()
        listening = asyncio.create_task(first.listen(made))
        await first.begun.wait()
        began = time.monotonic()
        talk.say(frames_of(sound)[:30])  # nothing is answered as long as it goes on
        await talk.started.wait()
        talk.session.interrupt()
        await listening
        times = {"stopped": round(time.monotonic() - began, 2)}
        talk.say(quiet(2))
        talk.session.truncate(message_id=first.id, modalities=["audio"], audio_end_ms=400)
        second = Answer()
        await second.listen(await talk.generations.get())
        times["answered"] = round(time.monotonic() - began, 2)
        return talk.told() | {"first": first.text, "second": second.text, "times": times}


if __name__ == "__main__":
    main({"speak": speak, "write": write, "interrupt": interrupt})
