"""The native face, sessions that move: export, import, fork, and the erasure of a user."""

import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, Final

import anyio.to_thread
from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect

from deployments.container import GatewayContainer
from deployments.faces.native.session_routes import Open, Session, erase, links
from deployments.web.body_limits import BoundedRoute
from deployments.web.connection_limiter import hold_session
from deployments.web.resource_access import Caller, owns
from pipeline.admission.upload_limits import Arrival
from pipeline.background.session_directory import Directory
from pipeline.eventlog.tiered_log import TieredLog
from pipeline.transfer.bundle_export import ExportedPast, export
from pipeline.transfer.bundle_import import import_bundle
from pipeline.transfer.erasure import Eraser
from pipeline.transfer.forking import Forks
from schemas.errors import BundleInvalid, BundleTooLarge, SessionGone, StateError
from schemas.ids import SessionId, created_ms, generation
from schemas.native.transfer_answers import ErasureProof, ForkSession, SessionForked, SessionImported
from schemas.settings.retrieval_settings import CollectionId

router = APIRouter(prefix="/v1", tags=["transfers"], route_class=BoundedRoute)

IMPORT: Final = "/v1/sessions/import"
"""Takes bodies of any size: it has a limit of its own, and holds them on disk."""
_UNPACKED: Final = 4
_WAIT_S: Final = 20.0
"""So long a bundle that has arrived, or an erasure, waits for its turn."""
_SHORTEST_MS: Final = 60_000
"""An export counts as so much sound at least, for all that is written in it."""
_IN_MEMORY: Final = 1 << 20
_ZIP: Final = "application/zip"
_BODY: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {_ZIP: {"schema": {"type": "string", "format": "binary"}}}}
}


async def _room(services: Open, caller: Caller) -> AsyncGenerator[Arrival, None]:
    """On the disk, for what is laid aside until all of the answer is sent."""
    with services.exporting.file(caller.name) as room:
        yield room


@router.get("/sessions/{session_id}/export", response_class=StreamingResponse)
async def export_session(
    services: Open,
    caller: Caller,
    session: Session,
    request: Request,
    room: Annotated[Arrival, Depends(_room)],
) -> StreamingResponse:
    """Exports the session up to now as one ZIP file: events, sound and captions.

    Members of a thread get it without its owner's pronunciations and names of share links.
    """
    conversation, head = await services.sessions.view(session)
    ms = sum(turn.audio_ms for turn in conversation.turns.values())
    await services.allowance.file(caller.name, max(_SHORTEST_MS, ms))
    owned = owns(caller, conversation.principal)
    past = ExportedPast.of(session, conversation, head, owned=owned)
    headers = {
        "Content-Disposition": f'attachment; filename="{session}.zip"',
        "Cache-Control": "no-store",
    }
    answer = StreamingResponse(export(services.log, past, room.grow), media_type=_ZIP, headers=headers)
    await hold_session(request, answer, conversation)
    return answer


@router.post("/sessions/import", status_code=201, openapi_extra=_BODY)
async def import_session(
    services: Open, caller: Caller, request: Request, response: Response
) -> SessionImported:
    """The session in an exported ZIP file as a new one of the caller's, with the same events and times.

    One bundle is imported at a time in each replica, one of each principal after the other.
    """
    limit = services.settings.limits.bundle_bytes
    await services.sessions.admit(caller.name)

    async def mine(session: SessionId) -> bool:
        whose = await services.ownership.of(session)
        return whose is not None and caller.commands(whose)

    with services.arriving.file(caller.name) as arrival, tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
        received = 0
        try:
            async for piece in request.stream():
                received += len(piece)
                if received > limit:
                    raise BundleTooLarge(f"the bundle is larger than {limit} bytes")
                arrival.grow(len(piece))
                await anyio.to_thread.run_sync(file.write, piece)
        except ClientDisconnect as error:
            raise BundleInvalid("the bundle did not arrive") from error
        file.seek(0)
        busy = "other bundles are being imported here; try again"
        async with services.importing.soon(caller.name, wait_s=_WAIT_S, busy=busy):
            session, head, started = await import_bundle(
                services.log,
                file,
                max_bytes=_UNPACKED * limit,
                session_bytes=services.settings.log.max_session_bytes,
                principal=caller.name,
                mine=mine,
                charge=partial(services.sessions.charge, caller.name),
            )
    response.headers["Location"] = f"/v1/sessions/{session}"
    return SessionImported(
        session_id=session,
        generation=generation(created_ms(session)),
        head_seq=head,
        settings=started.settings,
        links=links(session),
        imported_from=started.imported_from or "",
    )


@router.post("/sessions/{session_id}/fork", status_code=201)
async def fork_session(
    services: Open, session: Session, caller: Caller, response: Response, command: ForkSession | None = None
) -> SessionForked:
    """A new session with this one's past; from there on other settings, another question."""
    forks = Forks(services.log, services.sessions, services.clock, services.forking)
    fork = await forks.fork(session, command or ForkSession(), caller.name)
    response.headers["Location"] = f"/v1/sessions/{fork.session}"
    return SessionForked(
        session_id=fork.session,
        generation=generation(created_ms(fork.session)),
        head_seq=fork.head,
        settings=fork.settings,
        links=links(fork.session),
        parent=session,
        parent_seq=fork.parent_seq,
        turn=fork.turn,
    )


@router.delete("/users/{user_id}")
async def erase_user(
    services: Open, caller: Caller, user_id: Annotated[str, Path(min_length=1, max_length=200)]
) -> ErasureProof:
    """Erase every session of this user, sound, documents and archive included, and say for each place where
    something of a user can be what became of it.

    All of the log is looked through for that: one user is erased at a time in each replica, and an erasure
    counts as a session of the caller's.
    """
    log = services.log
    if not isinstance(log, TieredLog):
        raise StateError("this server's log cannot prove an erasure")
    directory = Directory(log.hot)
    eraser = Eraser(
        log,
        directory,
        _deleting(services),
        services.clock,
        library=services.library,
        leave=services.threads.remove_member,
    )
    await services.allowance.session(caller.name)
    busy = "other users are being erased here; try again"
    async with services.erasing.soon(caller.name, wait_s=_WAIT_S, busy=busy):
        # Of chats that were deleted before, and whose rows may be gone already.
        await services.collections.additions.later_drops.carry_out()
        return await eraser.erase(user_id)


def _deleting(services: GatewayContainer) -> Callable[[SessionId], Awaitable[None]]:
    async def delete(session: SessionId) -> None:
        kind = None
        with suppress(SessionGone):  # perhaps not for good yet: `erase` sees to it
            conversation, _ = await services.sessions.view(session)
            kind = conversation.kind
        if kind == "collection":
            await services.collections.delete(CollectionId(session))
        else:
            await erase(services, session)

    return delete
