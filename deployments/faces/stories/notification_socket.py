"""A user's notifications, over a socket that outlives none of them."""

from typing import Final

import anyio
from fastapi import APIRouter, WebSocket

from deployments.container import GatewayContainer
from deployments.faces.conversations.json_socket import JsonSocket, Message, conversing
from deployments.web.resource_access import Caller
from pipeline.apps.users import Users
from pipeline.auth.principals import Principal
from schemas.apps.story_messages import SocketCommand
from schemas.errors import InputError, UserNotFound
from schemas.events.recorded import Recorded
from schemas.ids import Seq, is_digits

router = APIRouter()

_STAYS_S: Final = 5.0
"""A connection that is cut is noticed sooner than this, unless the network itself is gone."""


def known_user(caller: Principal, user_id: str) -> str:
    """Returns the user that the path names. An open server has one user for all.

    Raises UserNotFound for somebody else.
    """
    if caller.admin:
        return user_id if caller.name else ""
    if caller.name != user_id:
        raise UserNotFound(f"there is no user {user_id[:80]!r}", field="user_id")
    return caller.name


@router.websocket("/ws/{user_id}")
async def notifications(
    websocket: WebSocket, user_id: str, caller: Caller, after: str = "", ack: bool = False
) -> None:
    """Sends the user's notifications: first those missed while away, then new ones.

    A notification counts as delivered with `ack=true` when the client has said `{"type": "ack", "id": ...}`,
    and otherwise when the client has stayed a while after it, or closed the connection. `after=<id>`
    begins there instead.
    """
    services: GatewayContainer = websocket.app.state.services
    post = _Post(services.users)

    async def execute(command: SocketCommand) -> None:
        if command.type != "ack" or command.id is None:
            raise InputError('here a client says {"type": "ack", "id": ...} or nothing', field="type")
        await services.users.delivered(known_user(caller, user_id), Seq(command.id))

    async with conversing(websocket, execute) as socket:
        user = known_user(caller, user_id)
        if after and not is_digits(after):
            raise InputError("after is the id of the last notification that you have", field="after")
        await socket.send({"type": "connected", "user_id": user_id})
        begin = Seq(int(after)) if after else None
        if ack:
            await _send_messages(socket, services, user, begin, post)
            return
        async with anyio.create_task_group() as both:
            both.start_soon(post.watch, user)
            await _send_messages(socket, services, user, begin, post)
    if socket.said_goodbye and not ack:
        await post.settle(user)


class _Post:
    """Tracks notifications to a client that confirms nothing, and when they count as delivered."""

    def __init__(self, users: Users) -> None:
        self._users = users
        self._sent = Seq(0)
        self._changed = anyio.Event()

    def sent(self, seq: Seq) -> None:
        self._sent = seq
        self._changed.set()

    async def watch(self, user: str) -> None:
        """For ever: whoever is still there some time after a notification has it."""
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            await anyio.sleep(_STAYS_S)
            await self.settle(user)

    async def settle(self, user: str) -> None:
        if self._sent:
            await self._users.delivered(user, self._sent)


async def _send_messages(
    socket: JsonSocket, services: GatewayContainer, user: str, after: Seq | None, post: _Post
) -> None:
    session = await services.users.open(user)
    if after is None:
        after = (await services.users.state(user)).delivered
    async with services.tailer.follow(session, after) as batches:
        async for batch in batches:
            for recorded in batch:
                if recorded.type == "notification.raised":
                    await socket.send(message(recorded))
                    post.sent(recorded.seq)


def message(recorded: Recorded) -> Message:
    """A notification in the words of the stories' clients."""
    data = recorded.data
    fields: Message = {
        "type": data["kind"],
        "scene_id": data["scene"],
        "story_id": data["story"],
        "session_id": data["session"],
        "id": recorded.seq,
        "created_ms": recorded.ts_ms,
    }
    if data["kind"] == "tts_ready":
        return {**fields, "chunk_count": data["chunk_count"], "auto_play": data["auto_play"]}
    return {**fields, "code": data["code"], "message": data["message"]}
