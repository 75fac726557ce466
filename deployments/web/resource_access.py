"""Authorization of a request: checks who owns the resources in its path.

`guard` stands before every route of the application (see `create_app`), so that a new one is guarded without
being told: it knows what the names of path parameters mean, and what it does not know is for administrators.
"""

import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import HTTPConnection

from deployments.container import GatewayContainer
from deployments.web.error_shapes.realtime_error_events import PATH
from pipeline.auth.principals import Principal
from pipeline.eventlog.event_log import Head
from pipeline.session_state.conversation import Conversation
from schemas.errors import (
    InputError,
    LogUnavailable,
    SceneNotFound,
    SessionNotFound,
    StateError,
    UserNotFound,
)
from schemas.errors.access_errors import Forbidden, Unauthenticated
from schemas.errors.openai_errors import ResponseNotFound
from schemas.errors.retrieval_errors import CollectionNotFound
from schemas.events.recorded import Recorded
from schemas.ids import SessionId, parse_session_id

PRINCIPAL: Final = "rhapsode.principal"
"""Key of the principal in a request's scope, set by the auth middleware."""
_SEEN: Final = "rhapsode.seen"
"""Key in a request's scope of the head at which the guard has seen the path's session."""
LISTENING: Final = frozenset(
    {"", "/events", "/stream", "/audio", "/captions.vtt", "/captions.srt", "/chapters.vtt"}
)
"""Paths that a share link opens, below /v1/sessions/{id}. All of it only reads, but for commands on the
stream, which the face refuses."""
ADMINS_READ: Final = "this is somebody else's; an administrator may read and delete it"
_SAFE: Final = frozenset({"GET", "HEAD"})
_OWNERS_ALONE: Final = "/shares"
"""Path that members of a thread may not read: only its owner sees the share links."""


async def principal_of(connection: HTTPConnection) -> Principal:
    """Raises Unauthenticated."""
    principal: Principal | None = connection.scope.get(PRINCIPAL)
    if principal is None:
        raise Unauthenticated("this server wants to know who asks: send an API key or a token")
    return principal


Caller = Annotated[Principal, Depends(principal_of)]


def seen_by_guard(connection: HTTPConnection) -> Head | None:
    """Head at which the guard has seen the path's session; None: it did not have to look."""
    head: Head | None = connection.scope.get(_SEEN)
    return head


def owns(caller: Principal, principal: str) -> bool:
    """Whether what belongs to `principal` is there for this caller."""
    return caller.admin or caller.name == principal


def refuse_affairs(conversation: Conversation) -> None:
    """A user's own session keeps settings and news; no turns belong there, and deleted it never comes back.
    A collection's tells of documents, which would stay behind.

    Raises StateError.
    """
    if conversation.kind == "collection":
        raise StateError("this is a collection of documents: look after it at /v1/collections")
    if conversation.kind == "stream":
        raise StateError("this is a durable stream: append to it and delete it at /v1/durable")
    if conversation.kind == "user":
        raise StateError("this session keeps a user's settings and notifications: it takes no commands")


def may_command(caller: Principal, conversation: Conversation) -> bool:
    """Its owner, and who takes part in it."""
    return caller.commands(conversation.principal) or (
        caller.share is None and caller.name in conversation.members
    )


async def guard(connection: HTTPConnection) -> None:
    """Raises what the route would say if the thing were not there, or Forbidden."""
    caller: Principal | None = connection.scope.get(PRINCIPAL)
    if caller is None:
        return  # a public place, as the auth middleware knows
    if caller.secret:
        _opens_realtime(connection)
    if caller.share is not None:
        await _listens(connection, caller.share)
    elif caller.name:
        for name, value in connection.path_params.items():
            await _CHECKS.get(name, _for_admins)(connection, caller, str(value))
    elif not services_of(connection).authenticator.open:
        raise Forbidden("this server wants to know who asks, and this credential does not say")


async def still_allowed(
    services: GatewayContainer, caller: Principal, session: SessionId | None = None
) -> None:
    """For connections that last: returns if they might begin now; `session`: what they are about.

    Raises an AccessError, SessionGone, or SessionNotFound for who takes no part in the session any more.
    """
    services.authenticator.revalidate(caller)
    if caller.share is not None:
        shared, share = caller.share
        await services.shares.check(SessionId(shared), share)
    elif session is not None and not caller.admin:
        await _still_takes_part(services, caller, session)


async def _still_takes_part(services: GatewayContainer, caller: Principal, session: SessionId) -> None:
    whose = await services.ownership.of(session)
    if whose is None or caller.commands(whose):
        return
    conversation, _ = await services.sessions.view(session)
    if not may_command(caller, conversation):
        raise SessionNotFound(f"there is no session {session}", field="session_id")


async def while_allowed(connection: HTTPConnection) -> None:
    """Beside a connection that lasts: raises an AccessError once nothing vouches for its caller any more.

    Returns at once where nothing ever did.
    """
    caller: Principal | None = connection.scope.get(PRINCIPAL)
    services = services_of(connection)
    while caller is not None and (caller.key or caller.expires_ms is not None):
        await services.clock.sleep(services.settings.limits.heartbeat_s)
        with suppress(LogUnavailable):  # the log is away, and nothing new can be told
            await still_allowed(services, caller)


async def _listens(connection: HTTPConnection, share: tuple[str, str]) -> None:
    """A share link opens its session, read only, and nothing else."""
    asked = connection.path_params.get("session_id")
    if asked is not None and asked != share[0]:
        raise SessionNotFound(f"there is no session {str(asked)[:80]}", field="session_id")
    path = connection.scope["path"].removeprefix(connection.scope.get("root_path", ""))
    place = path.removeprefix(f"/v1/sessions/{share[0]}")
    if place == path or place not in LISTENING or not _only_reads(connection):
        raise Forbidden("a share link is for listening only")
    await services_of(connection).shares.check(SessionId(share[0]), share[1])


def _opens_realtime(connection: HTTPConnection) -> None:
    """A client secret opens Realtime connections, and nothing else."""
    path = connection.scope["path"].removeprefix(connection.scope.get("root_path", ""))
    opens = path == PATH if connection.scope["type"] == "websocket" else _CALLS.fullmatch(path)
    if not opens:
        raise Forbidden("a client secret is for Realtime connections only")


_CALLS: Final = re.compile(f"{PATH}/calls(/[^/]+/hangup)?")


def _only_reads(connection: HTTPConnection) -> bool:
    return connection.scope["type"] == "websocket" or connection.scope["method"] in _SAFE


def services_of(connection: HTTPConnection) -> GatewayContainer:
    """The container of the gateway that answers this request."""
    services: GatewayContainer = connection.app.state.services
    return services


_Check = Callable[[HTTPConnection, Principal, str], Awaitable[None]]


def _owners(kind: str, error: type[InputError]) -> _Check:
    """A check that the resource is the caller's; the path names it as `<kind>_id`."""

    async def check(connection: HTTPConnection, caller: Principal, value: str) -> None:
        await _owned(connection, caller, value, error(f"there is no {kind} {value[:80]}", field=f"{kind}_id"))

    return check


async def _thread(connection: HTTPConnection, caller: Principal, value: str) -> None:
    """Admits the thread's members; the face checks the commands that only its owner may send."""
    session = parse_session_id(value)
    whose = None if session is None else await services_of(connection).ownership.of(session)
    if whose is not None and caller.commands(whose):
        return
    if session is not None and whose is not None and await _is_member(connection, session, caller):
        return
    if caller.admin:
        if whose is not None and not _admin_may(connection):
            raise Forbidden(ADMINS_READ)
        return
    raise SessionNotFound(f"there is no thread {value[:80]}", field="thread_id")


async def _response(connection: HTTPConnection, caller: Principal, value: str) -> None:
    missing = ResponseNotFound(f"Response with id '{value[:80]}' not found.", field="response_id")
    session, _, _ = value.removeprefix("resp_").rpartition("_")
    await _owned(connection, caller, session, missing)


async def _owned(connection: HTTPConnection, caller: Principal, value: str, missing: InputError) -> None:
    """Raises `missing` for another owner's resource. A scene is named after its story: `<story>.<turn>`."""
    session = parse_session_id(value.partition(".")[0])
    whose = None if session is None else await services_of(connection).ownership.of(session)
    if whose is not None and caller.commands(whose):
        return
    if whose is not None and session is not None and await _takes_part(connection, session, caller):
        return
    if not caller.admin:
        raise missing
    if whose is not None and not _admin_may(connection):
        raise Forbidden(ADMINS_READ)


async def _takes_part(connection: HTTPConnection, session: SessionId, caller: Principal) -> bool:
    """Members read, listen, ask and control; what the session is, and to whom it goes, stays its owner's."""
    path = str(connection.scope["path"])
    services = services_of(connection)
    if caller.share is not None or await services.ownership.kind(session) != "thread":
        return False  # a request alone does not have all of another's session read
    if not await _is_member(connection, session, caller):
        return False
    if _only_reads(connection):
        return not path.endswith(_OWNERS_ALONE)
    return path.endswith(("/turns", "/control"))


async def _is_member(connection: HTTPConnection, session: SessionId, caller: Principal) -> bool:
    conversation, connection.scope[_SEEN] = await services_of(connection).sessions.view(session)
    return caller.name in conversation.members


def _admin_may(connection: HTTPConnection) -> bool:
    if connection.scope["type"] == "websocket":
        return str(connection.scope["path"]).endswith("/stream")  # which takes its owner's commands only
    return connection.scope["method"] in _SAFE | {"DELETE"}


async def _user(connection: HTTPConnection, caller: Principal, value: str) -> None:
    if value != caller.name and not caller.admin:
        raise UserNotFound(f"there is no user {value[:80]!r}", field="user_id")


async def _for_admins(connection: HTTPConnection, caller: Principal, value: str) -> None:
    if not caller.admin:
        raise Forbidden("this is for administrators")


async def _for_all(connection: HTTPConnection, caller: Principal, value: str) -> None:
    """Part of something else in the path, which was checked, or of nobody's."""


_CHECKS: Final[Mapping[str, _Check]] = {
    "session_id": _owners("session", SessionNotFound),
    "story_id": _owners("story", SessionNotFound),
    "collection_id": _owners("collection", CollectionNotFound),
    "thread_id": _thread,
    "character_id": _for_all,
    "chat_id": _for_all,
    "scene_id": _owners("scene", SceneNotFound),
    "response_id": _response,
    "user_id": _user,
    **dict.fromkeys(("kind", "share", "member", "number", "n", "chunk", "turn", "provider"), _for_all),
    **dict.fromkeys(("voice", "document_id", "model", "stream", "call_id"), _for_all),
}


_AGAIN_S: Final = 1.0
_SENDS_AWAY: Final = frozenset({"share.revoked", "member.removed"})


class AccessRecheck:
    """Of one connection to one session. Every batch is checked before anything in it is told."""

    def __init__(self, services: GatewayContainer, caller: Principal, session: SessionId) -> None:
        self._services = services
        self._caller = caller
        self._session = session
        self._checked = services.clock.monotonic()

    async def check(self, batch: Sequence[Recorded]) -> None:
        """Ends the listening of a caller that could not begin it now, however busy the session is.

        Raises as `still_allowed`.
        """
        now = self._services.clock.monotonic()
        every_s = self._services.settings.limits.heartbeat_s
        changed = any(recorded.type in _SENDS_AWAY for recorded in batch)
        while not batch or changed or now - self._checked >= every_s:
            try:
                await still_allowed(self._services, self._caller, self._session)
            except LogUnavailable:  # the log is away: the next events are told when it has answered
                self._checked = -math.inf
                if not batch:
                    return
                await self._services.clock.sleep(_AGAIN_S)
            else:
                self._checked = now
                return
