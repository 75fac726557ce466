"""Relay in front of a server on which the first connections break after so many bytes."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import SocketAttribute, SocketStream


@asynccontextmanager
async def cutting_relay(url: str, after_bytes: int, cuts: int) -> AsyncGenerator[tuple[str, list[int]], None]:
    """A way to `url` on which the first connections break after so many bytes."""
    host, _, port = url.removeprefix("http://").partition(":")
    broken: list[int] = []

    async def pass_on(source: SocketStream, sink: SocketStream, most: float) -> None:
        passed = 0
        try:
            while True:
                piece = await source.receive(2_000)
                await sink.send(piece)
                passed += len(piece)
                if passed > most:
                    broken.append(passed)
                    break
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        await source.aclose()
        await sink.aclose()

    async def relay(client: SocketStream) -> None:
        server = await anyio.connect_tcp(host, int(port))
        async with anyio.create_task_group() as both:
            both.start_soon(pass_on, client, server, float("inf"))
            both.start_soon(pass_on, server, client, after_bytes if len(broken) < cuts else float("inf"))

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as serving,
    ):
        serving.start_soon(listener.serve, relay)
        yield f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}", broken
        serving.cancel_scope.cancel()
