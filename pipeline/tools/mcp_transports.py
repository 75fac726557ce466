"""Transports to MCP servers, with bounds on what a server may say at once.

The framing of standard input and output is that of the specification (2025-11-25, "stdio"): a message a line.
"""

import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import anyio
import httpx2
from anyio.abc import ByteReceiveStream, Process
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp.client.stdio import get_default_environment
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from pipeline.engines.http.http_provider import is_compressed

_END_S: Final = 2.0
_EVENTS: Final = "text/event-stream"
_READ_S: Final = 300.0
_CHILD: Final = (
    "import ctypes, os, signal, sys\n"
    "ctypes.CDLL(None).prctl(1, signal.SIGTERM)\n"
    "os.getppid() == int(sys.argv[1]) or sys.exit(1)\n"
    "os.execvp(sys.argv[2], sys.argv[2:])\n"
)
"""Linux ends the program when its gateway does, however that ends (prctl(2), PR_SET_PDEATHSIG)."""


@asynccontextmanager
async def stdio_transport(
    command: Sequence[str], env: Mapping[str, str], *, longest: int, ended: Callable[[], None]
) -> AsyncGenerator[tuple[Any, Any], None]:
    """Runs the program, and ends it with the block. Raises OSError where there is none.

    `longest`: bytes of one message. `ended`: called when the program says nothing more.
    """
    whole = [sys.executable, "-c", _CHILD, str(os.getpid()), *command] if sys.platform == "linux" else command
    process = await anyio.open_process(
        whole, env=get_default_environment() | dict(env), stderr=None, start_new_session=True
    )
    told, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, wished = anyio.create_memory_object_stream[SessionMessage](0)

    async def listen() -> None:
        assert process.stdout is not None
        async with told:
            async for line in _lines(process.stdout, longest):
                try:
                    message = jsonrpc_message_adapter.validate_json(line, by_name=False)
                except ValueError as error:
                    await told.send(error)
                else:
                    await told.send(SessionMessage(message))
        ended()

    async def speak() -> None:
        assert process.stdin is not None
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            async for message in wished:
                line = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                await process.stdin.send(line.encode() + b"\n")

    async with anyio.create_task_group() as both, read, write, wished:
        both.start_soon(_quietly, listen)
        both.start_soon(speak)
        try:
            yield read, write
        finally:
            both.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await _end(process)


async def _quietly(work: Callable[[], Any]) -> None:
    """The session has left: nobody hears the rest."""
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        await work()


async def _lines(stdout: ByteReceiveStream, longest: int) -> AsyncIterator[bytes]:
    """Ends with the program, or at a line that is too long."""
    buffered = BufferedByteReceiveStream(stdout)
    with suppress(anyio.EndOfStream, anyio.IncompleteRead, anyio.DelimiterNotFound):
        while True:
            yield await buffered.receive_until(b"\n", longest)


async def _end(process: Process) -> None:
    """Closes its input, and then ends it and what it has started."""
    assert process.stdin is not None
    with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        await process.stdin.aclose()
    for sign in (None, signal.SIGTERM, signal.SIGKILL):
        if sign is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
        with anyio.move_on_after(_END_S):
            await process.wait()
            break
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # those that the program has left behind
    await process.aclose()


class _BoundedAnswers(httpx2.AsyncHTTPTransport):
    """Answers beyond a number of bytes break off; events have the client's own bound, each for itself."""

    def __init__(self, longest: int) -> None:
        super().__init__()
        self._longest = longest

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["accept-encoding"] = "identity"
        response = await super().handle_async_request(request)
        if is_compressed(response.headers):
            await response.aclose()
            raise httpx2.ReadError("the answer is compressed: its length cannot be bounded")
        if not response.headers.get("content-type", "").startswith(_EVENTS):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _BoundedBody(response.stream, self._longest)
        return response


class _BoundedBody(httpx2.AsyncByteStream):
    def __init__(self, body: httpx2.AsyncByteStream, longest: int) -> None:
        self._body = body
        self._longest = longest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        held = 0
        async for part in self._body:
            held += len(part)
            if held > self._longest:
                raise httpx2.ReadError(f"the answer is longer than {self._longest} bytes")
            yield part

    async def aclose(self) -> None:
        await self._body.aclose()


@asynccontextmanager
async def http_transport(
    url: str, headers: Mapping[str, str], *, longest: int, connect_s: float
) -> AsyncGenerator[tuple[Any, Any], None]:
    """Speaks to an address; redirects that leave it are not followed, and variables name no proxy."""
    async with (
        httpx2.AsyncClient(
            headers=dict(headers),
            timeout=httpx2.Timeout(_READ_S, connect=connect_s),
            transport=_BoundedAnswers(longest),
            trust_env=False,
        ) as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=longest) as streams,
    ):
        yield streams
