"""The conversations face, threads: `/v1/threads`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from deployments.container import GatewayContainer
from deployments.faces.conversations.thread_views import listed_thread, messages, thread_view
from deployments.faces.native.session_routes import Open, erase_with_files
from deployments.web.body_limits import BoundedRoute
from deployments.web.connection_limiter import count_as_lasting
from deployments.web.json_lists import listed
from deployments.web.resource_access import ADMINS_READ, Caller
from pipeline.auth.principals import Principal
from pipeline.eventlog.event_log import Head
from pipeline.session_state.conversation import Conversation
from schemas.apps.conversation_messages import AddMember, ChangeThread, CreateThread, ThreadList, ThreadView
from schemas.errors import CharacterNotFound, SessionNotFound
from schemas.errors.access_errors import Forbidden
from schemas.ids import SessionId, parse_session_id

router = APIRouter(prefix="/v1/threads", tags=["conversations"], route_class=BoundedRoute)
Limit = Annotated[int, Query(ge=1, le=200)]


async def known_thread(
    services: GatewayContainer, caller: Principal, thread_id: str, *, to_read: bool = False
) -> tuple[SessionId, Conversation, Head]:
    """Raises SessionNotFound for what is no thread, or one that the caller has no part in, and Forbidden for
    administrators of whom it is somebody else's, unless they want to read or delete it.
    """
    missing = SessionNotFound(f"there is no thread {thread_id[:80]!r}", field="thread_id")
    thread = parse_session_id(thread_id)
    if thread is None:
        raise missing
    conversation, head = await services.threads.thread(thread)
    if caller.commands(conversation.principal) or caller.name in conversation.members:
        return thread, conversation, head
    if not caller.admin:
        raise missing
    if not to_read:
        raise Forbidden(ADMINS_READ)
    return thread, conversation, head


async def thread_of(services: Open, caller: Caller, thread_id: str) -> SessionId:
    return (await known_thread(services, caller, thread_id, to_read=True))[0]


async def own_thread(services: Open, caller: Caller, thread_id: str) -> SessionId:
    """Raises Forbidden for who takes part in it, and did not make it."""
    thread, conversation, _ = await known_thread(services, caller, thread_id)
    if not caller.commands(conversation.principal):
        raise Forbidden("only who made a thread may change it")
    return thread


async def deletable_thread(services: Open, caller: Caller, thread_id: str) -> SessionId:
    """Administrators may delete what is somebody else's."""
    if caller.admin:
        return await thread_of(services, caller, thread_id)
    return await own_thread(services, caller, thread_id)


Thread = Annotated[SessionId, Depends(thread_of)]
OwnThread = Annotated[SessionId, Depends(own_thread)]
DeletableThread = Annotated[SessionId, Depends(deletable_thread)]


@router.post("", status_code=201)
async def create_thread(
    services: Open, caller: Caller, response: Response, wish: CreateThread | None = None
) -> ThreadView:
    thread = await services.threads.create(wish or CreateThread(), caller.name)
    response.headers["Location"] = f"/v1/threads/{thread}"
    _, view = await _view(services, thread)
    return view


@router.get("")
async def list_threads(
    services: Open,
    caller: Caller,
    query: Annotated[str, Query(max_length=200)] = "",
    before: Annotated[str | None, Query(max_length=80)] = None,
    limit: Limit = 50,
) -> ThreadList:
    """The caller's own and those they take part in; with `query` those that have all of its words in their
    title or questions. A new one is listed a moment after its creation."""
    found = await services.directory.list(
        caller.name, kinds=("thread",), before=before, limit=limit, query=query
    )
    return ThreadList(threads=tuple(map(listed_thread, found.sessions)), next=found.next)


@router.get("/{thread_id}", response_model=ThreadView)
async def get_thread(request: Request, services: Open, thread: Thread) -> Response:
    return await _answer(request, services, thread)


@router.patch("/{thread_id}", response_model=ThreadView)
async def change_thread(
    request: Request, services: Open, thread: OwnThread, params: ChangeThread
) -> Response:
    """Another title, or another character from the next question on."""
    await count_as_lasting(request)  # the answer may be long: it is not refused when the thread is changed
    if "character" in params.model_fields_set:  # first, for it may be refused
        await services.threads.choose(thread, params.character)
    if params.title is not None:
        await services.sessions.rename(thread, params.title)
    return await _answer(request, services, thread)


@router.delete("/{thread_id}", status_code=204)
async def delete_thread(services: Open, thread: DeletableThread) -> None:
    await erase_with_files(services, thread)


@router.put("/{thread_id}/members", status_code=204)
async def add_member(services: Open, thread: OwnThread, params: AddMember) -> None:
    """Adds a member, which may read the thread, listen to it and ask in it."""
    await services.threads.add_member(thread, params.user)


@router.delete("/{thread_id}/members/{member}", status_code=204)
async def remove_member(services: Open, thread: OwnThread, member: str) -> None:
    await services.threads.remove_member(thread, member)


async def _answer(request: Request, services: GatewayContainer, thread: SessionId) -> Response:
    conversation, view = await _view(services, thread)
    return await listed(request, view, "messages", messages(conversation), conversation)


async def _view(services: GatewayContainer, thread: SessionId) -> tuple[Conversation, ThreadView]:
    """The thread, and its view without messages."""
    conversation, _ = await services.threads.thread(thread)
    character = None
    if (name := conversation.settings.character) is not None:
        try:
            character = await services.characters.get(conversation.principal, name)
        except CharacterNotFound:
            character = None  # deleted since
    return conversation, thread_view(thread, conversation, character)
