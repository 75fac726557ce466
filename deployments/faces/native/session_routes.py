"""The native face, commands and state: `/v1/sessions` as docs/protocol.md describes it."""

from contextlib import suppress
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response
from starlette.requests import HTTPConnection

from deployments.container import GatewayContainer
from deployments.web.body_limits import BoundedRoute
from deployments.web.connection_limiter import hold_session
from deployments.web.idempotency_key import IdempotencyKey, keyed
from deployments.web.json_lists import as_they_are, listed
from deployments.web.resource_access import Caller, owns, refuse_affairs, seen_by_guard, services_of
from pipeline.auth.principals import Principal
from pipeline.eventlog.event_log import Head
from pipeline.observability.metric_fold import measurements, recounted
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.turn_state import TurnState
from schemas.errors import SessionGone, SessionNotFound
from schemas.errors.access_errors import Forbidden
from schemas.errors.retrieval_errors import RetrievalUnavailable
from schemas.ids import SessionId, parse_session_id
from schemas.native.client_commands import Control, CreateSession, RequestTurn, UpdateSession
from schemas.native.native_messages import (
    ControlAccepted,
    Links,
    SessionCreated,
    SessionMetrics,
    SessionUpdated,
    SessionView,
    TurnAccepted,
    TurnError,
    TurnView,
    Voices,
)
from schemas.settings import SessionSettings
from schemas.settings.retrieval_settings import CollectionId

router = APIRouter(prefix="/v1", tags=["sessions"], route_class=BoundedRoute)
_PAGE: Final = 200


def known_id(session_id: str) -> SessionId:
    """The path's session id. Raises SessionNotFound for what cannot be one."""
    session = parse_session_id(session_id)
    if session is None:
        raise SessionNotFound(f"{session_id[:80]!r} is no session id", field="session_id")
    return session


async def erase(services: GatewayContainer, session: SessionId) -> None:
    """Nothing of it stays in this process's memory, whatever the log says. Raises as `Sessions.delete`."""
    try:
        await services.sessions.delete(session)
    finally:
        services.renderings.forget(session)


async def erase_with_files(services: GatewayContainer, session: SessionId) -> None:
    """The collections that were made for the session, and then the session itself.

    While the library cannot be reached, the collections are deleted all the same, and their documents are
    erased as soon as it can be. Raises as `Sessions.delete`.
    """
    for collection in await _made_for(services, session):
        try:
            await services.collections.delete(collection)
        except RetrievalUnavailable:
            await services.collections.additions.later_drops.add(collection)
            with suppress(SessionGone, SessionNotFound):
                await services.sessions.delete(SessionId(collection))
    await erase(services, session)


async def _made_for(services: GatewayContainer, session: SessionId) -> set[CollectionId]:
    """Collections made for a thread: those that it searches, and those of the list, which lags a moment."""
    try:
        conversation, _ = await services.sessions.view(session)
    except (SessionNotFound, SessionGone):
        return set()
    found = set(map(CollectionId, await services.threads.files_of(session)))
    more, before = conversation.kind == "thread", None
    while more:
        page = await services.directory.list(
            conversation.principal, kinds=("collection",), before=before, limit=_PAGE
        )
        found |= {CollectionId(one.session_id) for one in page.sessions if one.parent == session}
        more, before = page.next is not None, page.next
    return found


Open = Annotated[GatewayContainer, Depends(services_of)]
Session = Annotated[SessionId, Depends(known_id)]


async def commanded(connection: HTTPConnection, services: Open, session: Session) -> Head:
    """Head of the path's session, which the request is about to change: asked for once a request.

    Raises StateError, or as `Sessions.view`.
    """
    conversation, head = await services.sessions.view(session, seen_by_guard(connection))
    refuse_affairs(conversation)
    return head


Commanded = Annotated[Head, Depends(commanded)]


@router.post("/sessions", status_code=201)
async def create_session(
    services: Open, caller: Caller, response: Response, command: CreateSession | None = None
) -> SessionCreated:
    session, mark, head, settings = await services.sessions.create(
        command or CreateSession(), principal=caller.name
    )
    where = links(session)
    response.headers["Location"] = where.self
    return SessionCreated(session_id=session, generation=mark, head_seq=head, settings=settings, links=where)


@router.get("/sessions/{session_id}", response_model=SessionView)
async def get_session(
    connection: HTTPConnection, services: Open, caller: Caller, session: Session
) -> Response:
    conversation, head = await services.sessions.view(session)
    shown = view(session, conversation, head)
    shown = shown.model_copy(update={"settings": _told(shown.settings, caller, conversation)})
    turns = as_they_are(conversation.turns.values(), _turn_view)
    return await listed(connection, shown, "turns", turns, conversation)


def _told(settings: SessionSettings, caller: Principal, conversation: Conversation) -> SessionSettings:
    """The pronunciation dictionary is the owner's alone."""
    owned = owns(caller, conversation.principal)
    return settings if owned else settings.model_copy(update={"pronunciations": ()})


@router.get("/sessions/{session_id}/metrics")
async def session_metrics(services: Open, session: Session, request: Request) -> SessionMetrics:
    """How quickly its turns were answered. Turns that are not over are not in it."""
    conversation, _ = await services.sessions.view(session)
    await hold_session(request, request, conversation, copied=True)
    return SessionMetrics(session_id=session, metrics=measurements(await recounted(services.log, session)))


@router.patch("/sessions/{session_id}")
async def update_session(
    services: Open, caller: Caller, session: Session, seen: Commanded, command: UpdateSession
) -> SessionUpdated:
    """Raises Forbidden where a member gives a title: it stays with the owner."""
    conversation, _ = await services.sessions.view(session, seen)
    if command.title is not None and not caller.commands(conversation.principal):
        raise Forbidden("only who made a session may rename it")
    seq, settings = conversation.head, conversation.settings
    if command.settings is not None:
        seq, settings = await services.sessions.update(session, command.settings, seen)
    if command.title is not None:
        seq = await services.sessions.rename(session, command.title)
    return SessionUpdated(seq=seq, settings=_told(settings, caller, conversation))


@router.delete("/sessions/{session_id}", status_code=204)
async def delete_session(connection: HTTPConnection, services: Open, session: Session) -> None:
    """Erase it. 503 `log.unavailable`: perhaps not for good yet, but this gateway goes on trying.

    410 `session.gone`: it was, for good. 404 says nothing where this gateway does not know whose it was.
    """
    with suppress(SessionGone):
        await commanded(connection, services, session)
    await erase_with_files(services, session)


@router.post("/sessions/{session_id}/turns", status_code=202)
async def request_turn(
    services: Open,
    caller: Caller,
    session: Session,
    seen: Commanded,
    command: RequestTurn,
    idempotency_key: IdempotencyKey = None,
) -> TurnAccepted:
    asked = keyed(command, idempotency_key)
    turn = await services.sessions.request(session, asked, by=caller.name, seen=seen)
    return TurnAccepted(session_id=session, turn=turn, seq=turn)


@router.post("/sessions/{session_id}/control", status_code=202)
async def control(
    services: Open, caller: Caller, session: Session, seen: Commanded, command: Control
) -> ControlAccepted:
    return ControlAccepted(seq=await services.sessions.control(session, command, seen, by=caller.name))


@router.get("/voices")
async def voices(services: Open) -> Voices:
    choices = services.sessions.choices
    providers = {name: tuple(voices) for name, voices in choices.speakers.items()}
    languages = {name: dict(voices) for name, voices in choices.speakers.items()}
    return Voices(voices=choices.voices, providers=providers, languages=languages)


def links(session: SessionId) -> Links:
    path = f"/v1/sessions/{session}"
    return Links(
        self=path,
        events=f"{path}/events",
        stream=f"{path}/stream",
        audio=f"{path}/audio",
        page=f"/?session={session}",
    )


def view(session: SessionId, conversation: Conversation, head: Head) -> SessionView:
    """The session without its turns."""
    running = conversation.running
    return SessionView(
        session_id=session,
        generation=head.generation,
        head_seq=conversation.head,
        state="sealed" if conversation.ended else head.state,
        title=conversation.title,
        settings=conversation.settings,
        paused=conversation.paused,
        running_turn=None if running is None else running.turn,
    )


def _turn_view(turn: TurnState) -> TurnView:
    error = turn.error
    return TurnView(
        turn=turn.turn,
        kind=turn.kind,
        text=turn.text,
        answer=turn.answer,
        status=turn.status,
        sentences=len(turn.sentences),
        audio_ms=turn.audio_ms,
        error=error
        and TurnError(code=error["code"], message=error["message"], retryable=error.get("retryable", False)),
    )
