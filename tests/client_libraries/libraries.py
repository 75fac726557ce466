"""The cases of the conformance tests, as each client library does them: answers are plain JSON."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable
from contextlib import aclosing
from pathlib import Path
from typing import Any, Protocol

import anyio

from rhapsode import ApiError, AsyncRhapsode, Event

_DRIVER = Path(__file__).with_name("driver.mjs")
NODE = shutil.which("node")


class Library(Protocol):
    """One client library."""

    async def run(self, name: str, url: str, key: str | None = None, **parameters: Any) -> Any:
        """Runs a case against the server at `url`, and returns what the library said."""


class JavaScript:
    """The JavaScript client in Node, a process for each case."""

    async def run(self, name: str, url: str, key: str | None = None, **parameters: Any) -> Any:
        assert NODE is not None
        request = json.dumps({"name": name, "url": url, "key": key, **parameters}).encode()
        command = [NODE, *_flags(NODE), str(_DRIVER)]
        with anyio.fail_after(60):
            done = await anyio.run_process(command, input=request, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)


def _flags(node: str) -> list[str]:
    """Node has a WebSocket from 22 on, and before behind a flag."""
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return [] if int(version.lstrip("v").partition(".")[0]) >= 22 else ["--experimental-websocket"]


class Python:
    """The Python client, in this process."""

    async def run(self, name: str, url: str, key: str | None = None, **parameters: Any) -> Any:
        async with AsyncRhapsode(url, key=key) as client:
            return await getattr(self, f"_{name}")(client, **parameters)

    async def _answers(self, client: AsyncRhapsode) -> Any:
        session = await client.create(title="A story", speak=False)
        turn = await session.ask("Tell me a story")
        deltas = [delta async for delta in turn.deltas()]
        return {
            "deltas": deltas,
            "title": (await session.view())["title"],
            "again": await client.ask("Once more", speak=False),
            "brief": await client.ask("In brief", speak=False, max_tokens=10),
        }

    async def _events(self, client: AsyncRhapsode, *, session: str, after: int | str, **query: Any) -> Any:
        return await _all(client.session(session).events(after, **query))

    async def _fork(self, client: AsyncRhapsode, *, session: str, at: int) -> Any:
        fork = await client.session(session).fork(at=at)
        events = await _all(fork.events(follow=False))
        await fork.delete()
        return {"events": events, "gone": await _refusal(fork.view())}

    async def _commands(self, client: AsyncRhapsode) -> Any:
        session = await client.create()
        await session.change(speech_speed=1.25)
        turn = await session.say("Good morning to all of you.")
        spoken = await turn.text()
        async with anyio.TemporaryDirectory() as folder:
            size = await session.save_audio(f"{folder}/made.pcm", "pcm16")
        await session.pause()
        await session.resume()
        stop = await _refusal(session.stop())
        return {
            "spoken": spoken,
            "bytes": size,
            "settings": (await session.view())["settings"],
            "stop": stop,
        }

    async def _refusals(self, client: AsyncRhapsode, *, absent: str) -> Any:
        return {
            "settings": await _refusal(client.create(speech_speed=99)),
            "session": await _refusal(_all(client.session(absent).events())),
            "change": await _refusal(client.session(absent).change(voice="joe")),
        }

    async def _patience(self, client: AsyncRhapsode, *, later: str, much_later: str) -> Any:
        session = await client.create(speak=False)
        turn = await session.ask(later)
        return {"text": await turn.text(), "much_later": await _refusal(session.ask(much_later))}

    async def _listen(self, client: AsyncRhapsode, *, file: str, bytes: int) -> Any:
        pcm = await anyio.Path(file).read_bytes()

        async def pieces() -> AsyncGenerator[bytes, None]:
            for at in range(0, len(pcm), bytes):
                yield pcm[at : at + bytes]

        session = await client.create(speak=False)
        async with aclosing(session.listen(pieces())) as events:
            return await _all(events)

    async def _interrupt(self, client: AsyncRhapsode, *, file: str, bytes: int) -> Any:
        pcm = await anyio.Path(file).read_bytes()
        session = await client.create()
        turn = await session.ask("Tell it at length")

        async def pieces() -> AsyncGenerator[bytes, None]:
            async for event in session.events():
                if event.type == "audio.chunk":
                    break
            for at in range(0, len(pcm), bytes):
                yield pcm[at : at + bytes]
                await anyio.sleep(bytes / 32_000)

        async with aclosing(session.listen(pieces())) as events:
            return {"turn": turn.number, "events": await _all(events)}


async def _all(events: AsyncIterable[Event]) -> list[dict[str, Any]]:
    return [
        {
            "seq": event.seq,
            "turn": event.turn,
            "type": event.type,
            "data": dict(event.data),
            "audio": hashlib.sha256(event.audio).hexdigest(),
        }
        async for event in events
    ]


async def _refusal(action: Awaitable[object]) -> dict[str, Any] | None:
    try:
        await action
    except ApiError as error:
        names = ("code", "status", "field", "retryable", "retry_after_s")
        return {name: getattr(error, name) for name in names}
    return None
