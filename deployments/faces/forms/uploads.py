"""Recordings as request bodies: received into a file, and listened to only while somebody waits for that."""

import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import IO, TypeVar

import anyio
import anyio.to_thread
from fastapi import Request
from starlette.requests import ClientDisconnect

from deployments.container import GatewayContainer
from pipeline.admission.upload_limits import Arrival
from pipeline.stt.inputs.recording_upload import UploadedSound, recording_in
from schemas.errors import BodyTooLarge, InputCancelled, NotSound, RhapsodeError

T = TypeVar("T")


@asynccontextmanager
async def uploaded(
    request: Request, services: GatewayContainer, principal: str
) -> AsyncGenerator[UploadedSound, None]:
    """The body as a recording. Raises GatewayBusy, UploadLimit, BodyTooLarge, NotSound or InputTooLong."""
    limits = services.settings.limits
    with ExitStack() as stay:
        arrival = stay.enter_context(services.arriving.file(principal))
        file = stay.enter_context(tempfile.TemporaryFile())
        await _receive(request, file, limits.upload_bytes, arrival)
        async with recording_in(file, longest_s=limits.upload_s) as recording:
            yield recording


async def while_awaited(request: Request, work: Callable[[], Awaitable[T]]) -> T:
    """Returns or raises as `work` does; it is cancelled when the client leaves. Its body must have been read.

    Raises InputCancelled, which nobody hears.
    """
    found: list[T] = []
    refusals: list[RhapsodeError] = [InputCancelled("the client left")]
    async with anyio.create_task_group() as both:

        async def watch() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass  # the body's end may be told more than once
            both.cancel_scope.cancel()

        both.start_soon(watch)
        try:
            found.append(await work())
        except RhapsodeError as error:
            refusals.insert(0, error)
        both.cancel_scope.cancel()
    if not found:
        raise refusals[0]
    return found[0]


async def _receive(request: Request, file: IO[bytes], limit: int, arrival: Arrival) -> None:
    """The body, into `file`. Raises BodyTooLarge, NotSound, GatewayBusy or UploadLimit."""
    length = 0
    try:
        async for piece in request.stream():
            length += len(piece)
            if length > limit:
                raise BodyTooLarge(f"the recording is larger than {limit} bytes")
            arrival.grow(len(piece))
            await anyio.to_thread.run_sync(file.write, piece)
    except ClientDisconnect as error:
        raise NotSound("the recording did not arrive", field="body") from error
    if not length:
        raise NotSound("the body is empty; send a recording", field="body")
    file.seek(0)
