"""The same client for programs without asyncio."""

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import ExitStack, aclosing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from anyio import EndOfStream, create_memory_object_stream
from anyio.from_thread import BlockingPortal, start_blocking_portal
from anyio.to_thread import run_sync

from rhapsode.client import AsyncRhapsode, AsyncSession, AsyncTurn, AudioFormat, FileFormat
from rhapsode.connection import Event

Item = TypeVar("Item")


class Rhapsode:
    """`AsyncRhapsode` for ordinary code: the same methods, and generators to iterate over."""

    def __init__(self, url: str | None = None, *, key: str | None = None) -> None:
        self._exits = ExitStack()
        self._portal = self._exits.enter_context(start_blocking_portal())
        self._client = self._portal.call(partial(AsyncRhapsode, url, key=key))
        self._exits.enter_context(self._portal.wrap_async_context_manager(self._client))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._exits.close()

    def create(self, *, title: str = "", **settings: Any) -> "Session":
        """See `AsyncRhapsode.create`."""
        return Session(self._portal, self._portal.call(partial(self._client.create, title=title, **settings)))

    def session(self, session_id: str) -> "Session":
        """See `AsyncRhapsode.session`."""
        return Session(self._portal, self._client.session(session_id))

    def sessions(self, *, limit: int = 50) -> list[dict[str, Any]]:
        """See `AsyncRhapsode.sessions`."""
        return self._portal.call(partial(self._client.sessions, limit=limit))

    def voices(self) -> dict[str, Any]:
        """See `AsyncRhapsode.voices`."""
        return self._portal.call(self._client.voices)

    def ask(self, prompt: str, **settings: Any) -> str:
        """See `AsyncRhapsode.ask`."""
        return self._portal.call(partial(self._client.ask, prompt, **settings))


@dataclass(frozen=True, slots=True)
class Session:
    """See `AsyncSession`."""

    _portal: BlockingPortal
    _session: AsyncSession

    @property
    def id(self) -> str:
        return self._session.id

    def ask(self, prompt: str, **settings: Any) -> "Turn":
        """See `AsyncSession.ask`."""
        return Turn(self._portal, self._portal.call(partial(self._session.ask, prompt, **settings)))

    def say(self, text: str, **settings: Any) -> "Turn":
        """See `AsyncSession.say`."""
        return Turn(self._portal, self._portal.call(partial(self._session.say, text, **settings)))

    def events(
        self,
        after: int | str = 0,
        *,
        audio: AudioFormat = "none",
        turn: int | None = None,
        speed: float | None = None,
        follow: bool = True,
    ) -> Iterator[Event]:
        """See `AsyncSession.events`."""
        events = partial(self._session.events, after, audio=audio, turn=turn, speed=speed, follow=follow)
        return _iterate(self._portal, events)

    def listen(
        self, sound: Iterable[bytes], *, rate: int = 16_000, audio: AudioFormat = "none"
    ) -> Iterator[Event]:
        """See `AsyncSession.listen`; `sound` is read in a thread."""
        return _iterate(self._portal, lambda: self._session.listen(_threaded(sound), rate=rate, audio=audio))

    def stop(self) -> None:
        """See `AsyncSession.stop`."""
        self._portal.call(self._session.stop)

    def change(self, **settings: Any) -> None:
        """See `AsyncSession.change`."""
        self._portal.call(partial(self._session.change, **settings))

    def fork(self, at: int | None = None, **settings: Any) -> "Session":
        """See `AsyncSession.fork`."""
        return Session(self._portal, self._portal.call(partial(self._session.fork, at, **settings)))

    def view(self) -> dict[str, Any]:
        """See `AsyncSession.view`."""
        return self._portal.call(self._session.view)

    def save_audio(
        self, file: str | Path, audio_format: FileFormat = "wav", *, turn: int | None = None
    ) -> int:
        """See `AsyncSession.save_audio`."""
        return self._portal.call(partial(self._session.save_audio, file, audio_format, turn=turn))

    def delete(self) -> None:
        """See `AsyncSession.delete`."""
        self._portal.call(self._session.delete)


@dataclass(frozen=True, slots=True)
class Turn:
    """See `AsyncTurn`."""

    _portal: BlockingPortal
    _turn: AsyncTurn

    @property
    def number(self) -> int:
        return self._turn.number

    def events(self, *, audio: AudioFormat = "none") -> Iterator[Event]:
        """See `AsyncTurn.events`."""
        return _iterate(self._portal, partial(self._turn.events, audio=audio))

    def deltas(self) -> Iterator[str]:
        """See `AsyncTurn.deltas`."""
        return _iterate(self._portal, self._turn.deltas)

    def text(self) -> str:
        """See `AsyncTurn.text`."""
        return self._portal.call(self._turn.text)

    def speak(self) -> None:
        """See `AsyncTurn.speak`."""
        self._portal.call(self._turn.speak)


def _iterate(portal: BlockingPortal, make: Callable[[], AsyncGenerator[Item, None]]) -> Iterator[Item]:
    """Runs the generator in one task of the portal's loop; a caller that breaks off ends it."""
    send, receive = portal.call(lambda: create_memory_object_stream[Item](16))

    async def run() -> None:
        async with send, aclosing(make()) as generator:
            async for item in generator:
                await send.send(item)

    running = portal.start_task_soon(run)
    try:
        with suppress(EndOfStream):
            while True:
                yield portal.call(receive.receive)
        running.result()
    finally:
        running.cancel()
        portal.call(receive.aclose)


async def _threaded(sound: Iterable[bytes]) -> AsyncGenerator[bytes, None]:
    iterator = iter(sound)
    while (pcm := await run_sync(next, iterator, None)) is not None:
        yield pcm
