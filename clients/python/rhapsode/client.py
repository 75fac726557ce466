"""Asynchronous client: sessions, turns, events, sound and microphones of one server."""

import os
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import anyio

from rhapsode import audio_devices
from rhapsode.audio_input import AudioInput
from rhapsode.connection import ApiError, Connection, Event, new_key

AudioFormat = Literal["none", "opus", "pcm16", "mp3", "wav"]
"""Of `audio.chunk` events: `pcm16` is 24 kHz, mono, little-endian; the others are in docs/protocol.md."""
FileFormat = Literal["wav", "mp3", "opus", "pcm16"]


class AsyncRhapsode:
    """One server. Use as a context manager.

    `url` is its address; None: RHAPSODE_URL, or http://127.0.0.1:8000. `key` is an API key or a token; None:
    RHAPSODE_KEY, or no credential. Every method raises ApiError.
    """

    def __init__(self, url: str | None = None, *, key: str | None = None) -> None:
        key = key or os.environ.get("RHAPSODE_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.connection = Connection(
            url or os.environ.get("RHAPSODE_URL") or "http://127.0.0.1:8000", headers
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.http.aclose()

    async def create(self, *, title: str = "", **settings: Any) -> "AsyncSession":
        """A new session. `settings` are those of docs/protocol.md, as voice="joe", language="de"."""
        answer = await self.connection.call("POST", "/v1/sessions", {"settings": settings, "title": title})
        return self.session(answer["session_id"])

    def session(self, session_id: str) -> "AsyncSession":
        """A session that is there already; asks nothing."""
        return AsyncSession(self.connection, session_id)

    async def sessions(self, *, limit: int = 50) -> list[dict[str, Any]]:
        """The caller's latest sessions, newest first."""
        answer = await self.connection.call("GET", f"/v1/sessions?limit={limit}")
        found: list[dict[str, Any]] = answer["sessions"]
        return found

    async def voices(self) -> dict[str, Any]:
        """The voices and their languages."""
        return await self.connection.call("GET", "/v1/voices")

    async def ask(self, prompt: str, **settings: Any) -> str:
        """The whole answer to one prompt, in a session of its own."""
        session = await self.create(title=prompt[:80])
        return await (await session.ask(prompt, **settings)).text()


@dataclass(frozen=True, slots=True)
class AsyncSession:
    """A session: its commands, and its events from any place on."""

    connection: Connection
    id: str

    @property
    def _path(self) -> str:
        return f"/v1/sessions/{self.id}"

    async def ask(self, prompt: str, **settings: Any) -> "AsyncTurn":
        """Asks the language model. The answer has its number as soon as the log has the question."""
        return await self._request({"prompt": prompt}, settings)

    async def say(self, text: str, **settings: Any) -> "AsyncTurn":
        """Has a text read out, word for word."""
        return await self._request({"text": text}, settings)

    async def _request(self, words: Mapping[str, str], settings: Mapping[str, Any]) -> "AsyncTurn":
        body = {**words, "key": new_key()} | ({"settings": settings} if settings else {})
        answer = await self.connection.call("POST", f"{self._path}/turns", body)
        return AsyncTurn(self, answer["turn"])

    def events(
        self,
        after: int | str = 0,
        *,
        audio: AudioFormat = "none",
        turn: int | None = None,
        speed: float | None = None,
        follow: bool = True,
    ) -> AsyncGenerator[Event, None]:
        """Every event after `after` (a `seq`, a cursor or "head"), in order, each once.

        A dropped connection is resumed at the last event. `turn` ends after that turn; `speed` replays at the
        recorded pace times that, 0 at once; without `follow` the events end at the present.
        """
        query: dict[str, str | int] = {"audio": audio, "follow": str(follow).lower()}
        query |= {} if turn is None else {"turn": turn}
        query |= {} if speed is None else {"speed": f"{speed:g}"}
        return self.connection.follow(self.id, after, query)

    async def listen(
        self, sound: AsyncIterable[bytes], *, rate: int = 16_000, audio: AudioFormat = "none"
    ) -> AsyncGenerator[Event, None]:
        """Sends PCM (mono, 16 bits little-endian, `rate` in Hz) as a microphone does, and yields events.

        The events are those from now on: transcripts, the questions that they become, the answers, and their
        sound. Ends when `sound` has ended and all of it is transcribed. After a dropped connection the sound
        that the server has not acknowledged is sent again.
        """
        async with AudioInput(sound, rate) as microphone:
            events = self.connection.follow(self.id, "head", {"audio": audio}, microphone)
            async with aclosing(events):
                async for event in events:
                    yield event
                    if microphone.is_closed_by(event):
                        return

    async def stop(self) -> None:
        """Stops the running answer."""
        await self._control("stop")

    async def pause(self) -> None:
        """Pauses playback for every listener."""
        await self._control("pause")

    async def resume(self) -> None:
        """Goes on with playback."""
        await self._control("resume")

    async def _control(self, action: str) -> None:
        await self.connection.call("POST", f"{self._path}/control", {"action": action})

    async def change(self, **settings: Any) -> None:
        """Changes settings for turns that are asked for from now on."""
        await self.connection.call("PATCH", self._path, {"settings": settings})

    async def fork(self, at: int | None = None, **settings: Any) -> "AsyncSession":
        """A new session with this one's events up to `at`; None: all of them."""
        body = ({} if at is None else {"at": at}) | ({"settings": settings} if settings else {})
        answer = await self.connection.call("POST", f"{self._path}/fork", body)
        return AsyncSession(self.connection, answer["session_id"])

    async def view(self) -> dict[str, Any]:
        """The session as it is: title, settings, turns."""
        return await self.connection.call("GET", self._path)

    async def save_audio(
        self, file: str | Path, audio_format: FileFormat = "wav", *, turn: int | None = None
    ) -> int:
        """Writes what has been spoken so far to a file. Returns the number of bytes."""
        query: dict[str, str | int] = {"format": audio_format}
        query |= {} if turn is None else {"turn": turn}
        size = 0
        async with self.connection.http.stream("GET", f"{self._path}/audio", params=query) as answer:
            if answer.is_error:
                await answer.aread()
                raise ApiError.of(answer)
            async with await anyio.open_file(file, "wb") as out:
                async for piece in answer.aiter_bytes():
                    size += await out.write(piece)
        return size

    async def delete(self) -> None:
        """Deletes the session with all of its events."""
        await self.connection.call("DELETE", self._path)


@dataclass(frozen=True, slots=True)
class AsyncTurn:
    """One question or text, and what becomes of it."""

    session: AsyncSession
    number: int

    def events(self, *, audio: AudioFormat = "none") -> AsyncGenerator[Event, None]:
        """The events from the request to the end of the turn."""
        return self.session.events(self.number - 1, turn=self.number, audio=audio)

    async def deltas(self) -> AsyncGenerator[str, None]:
        """The text while it is written."""
        async with aclosing(self.events()) as events:
            async for event in events:
                _check(event)
                if event.type == "text.delta":
                    yield event.data["text"]

    async def text(self) -> str:
        """The whole text, when the turn is over.

        Of an answer that its length limit cut, what follows the last whole sentence is left out.
        """
        parts: list[str] = []
        standing: int | None = None
        async with aclosing(self.events()) as events:
            async for event in events:
                _check(event)
                if event.type == "text.delta":
                    parts.append(event.data["text"])
                elif event.type == "text.completed" and event.data["finish"] == "length":
                    standing = event.data["chars"]
        return "".join(parts)[:standing]

    async def speak(self) -> None:
        """Plays the turn on the loudspeaker while it is made. Raises FileNotFoundError without a player."""
        name = audio_devices.find()
        if name is None:
            raise FileNotFoundError("No program plays sound here; install one, as pacat, aplay or ffplay.")
        async with audio_devices.opened(name) as player, aclosing(self.events(audio="pcm16")) as events:
            async for event in events:
                _check(event)
                if event.audio:
                    await player.play(event.audio)


def _check(event: Event) -> None:
    """Raises ApiError where the turn has failed."""
    if event.type == "turn.failed":
        raise ApiError(str(event.data["message"]), code=str(event.data["code"]))
