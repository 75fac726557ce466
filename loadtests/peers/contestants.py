"""Contestants of a race: each is asked in writing or by voice; measured is when the answer is first heard."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from websockets.exceptions import WebSocketException

from loadtests.client.api_connection import ApiConnection, EventSocket
from loadtests.client.recorded_speech import Clip
from loadtests.client.voice_call import PacedMicrophone, VoiceCall, voice_call
from loadtests.peers.peer_connection import PATIENCE_S, FirstLoudSample, peer_connection
from schemas.events import TERMINAL

_BEFORE_S: Final = 1.0
"""Of silence, before somebody speaks: detectors of speech learn what the room sounds like."""


@dataclass(frozen=True, slots=True)
class HeardAnswer:
    """Milliseconds from the question to its answer; a spoken question ends with its last sound."""

    first_ms: float
    """When a player that plays what comes is first heard."""
    asked_s: float = 0.0
    """When the question was asked (monotonic seconds)."""
    stages: Mapping[str, float] = field(default_factory=dict)
    """When it came to each engine and left it, where the services were used."""


def heard(player: FirstLoudSample, asked_s: float) -> HeardAnswer:
    """Raises RuntimeError where nothing was."""
    return HeardAnswer(round(player.first_ms(), 1), asked_s)


FAILURES: Final = (TimeoutError, RuntimeError, OSError, httpx.HTTPError, WebSocketException)
"""Exceptions in place of an answer."""


@dataclass(frozen=True)
class PeerContestant:
    """A server of loadtests/peers/systems. Every question is a conversation of its own, in a warm server."""

    name: str
    url: str

    async def ask(self, prompt: str) -> HeardAnswer:
        async with peer_connection(self.url) as connection:
            return heard(*await connection.wish(ask=prompt))

    async def read(self, text: str) -> HeardAnswer:
        async with peer_connection(self.url) as connection:
            return heard(*await connection.wish(say=text))

    async def say(self, clip: Clip) -> HeardAnswer:
        async with peer_connection(self.url) as connection:
            microphone = PacedMicrophone(connection.send)
            speaking = asyncio.create_task(microphone.run())
            try:
                ends_s = await _spoken(microphone, clip)
                player = FirstLoudSample()
                await connection.hear(player, since_s=ends_s)
            finally:
                speaking.cancel()
        return _in_turn(heard(player, ends_s))


@dataclass(frozen=True)
class RhapsodeContestant:
    """Rhapsode by its native socket; `settings` are the session's."""

    name: str
    url: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    async def ask(self, prompt: str) -> HeardAnswer:
        return await self._turn(prompt=prompt)

    async def read(self, text: str) -> HeardAnswer:
        return await self._turn(text=text)

    async def _turn(self, **wish: str) -> HeardAnswer:
        async with rhapsode_session(self.url, self.settings) as stream:
            return heard(*await answered(stream, **wish))

    async def say(self, clip: Clip) -> HeardAnswer:
        async with (
            ApiConnection(self.url) as client,
            voice_call(client, await client.create(self.settings), audio="pcm16") as caller,
        ):
            ends_s = await _spoken(caller.microphone, clip)
            # A failure is raised after the block, whose tasks would make a group of it.
            with suppress(TimeoutError):
                await caller.until(lambda each: each.type in TERMINAL, limit_s=PATIENCE_S)
            player = _played(caller, ends_s)
        return _in_turn(heard(player, ends_s))


Contestant = PeerContestant | RhapsodeContestant
"""Raises one of FAILURES where no answer is heard."""


async def _spoken(microphone: PacedMicrophone, clip: Clip) -> float:
    """Say it; when its last sound will have been spoken (monotonic seconds)."""
    await asyncio.sleep(_BEFORE_S)
    return microphone.instant_s(microphone.say(clip.pcm) + clip.bounds_ms[1])


@asynccontextmanager
async def rhapsode_session(url: str, settings: Mapping[str, Any]) -> AsyncGenerator[EventSocket, None]:
    """A new session's socket, with sound as PCM."""
    async with ApiConnection(url) as client:
        session = await client.create(settings)
        async with client.stream(session, after=1, audio="pcm16") as stream:
            yield stream


async def answered(stream: EventSocket, **wish: str) -> tuple[FirstLoudSample, float]:
    """Request a turn and wait for its end: the next question begins on idle engines.

    Returns the sound, and when the question was asked (monotonic seconds).
    """
    player = FirstLoudSample()
    async with asyncio.timeout(PATIENCE_S):
        sent_s = await stream.send({"type": "turn.request"} | wish) / 1e9
        async for arrival in stream.until_over():
            if arrival.type == "audio.chunk":
                player.push(arrival.sound, arrival.at_s - sent_s)
    return player, sent_s


def _played(caller: VoiceCall, ends_s: float) -> FirstLoudSample:
    player = FirstLoudSample()
    for each in caller.arrivals:
        if each.type == "audio.chunk":
            player.push(each.sound, each.at_s - ends_s)
    return player


def _in_turn(found: HeardAnswer) -> HeardAnswer:
    """Raises RuntimeError where the answer came before the question was over."""
    if found.first_ms <= 0:
        raise RuntimeError("it answered before the question was over")
    return found
