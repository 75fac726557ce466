"""A user's notifications, over a socket that outlives none of them."""

from fastapi import APIRouter, WebSocket

from deployments.access import Caller
from deployments.faces.sockets import JsonSocket, Message, conversing
from deployments.services import Services
from schemas.errors import InputError, UserNotFound
from schemas.ids import Seq
from schemas.principals import Principal
from schemas.recorded import Recorded
from schemas.stories import SocketCommand

router = APIRouter()


def known_user(caller: Principal, user_id: str) -> str:
    """Whose affairs the path means. On an open server everybody is the same user.

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
    """What the user should hear of: what came while nobody was there, then what comes.

    A notification counts as delivered when it was sent, or with `ack=true` when the client has said
    `{"type": "ack", "id": ...}`. `after=<id>` begins there instead.
    """
    services: Services = websocket.app.state.services

    async def obey(command: SocketCommand) -> None:
        if command.type != "ack" or command.id is None:
            raise InputError('here a client says {"type": "ack", "id": ...} or nothing', field="type")
        await services.users.delivered(known_user(caller, user_id), Seq(command.id))

    async with conversing(websocket, obey) as socket:
        user = known_user(caller, user_id)
        if after and not (after.isascii() and after.isdigit() and len(after) <= 15):
            raise InputError("after is the id of the last notification that you have", field="after")
        await socket.send({"type": "connected", "user_id": user_id})
        await _tell(socket, services, user, Seq(int(after)) if after else None, record=not ack)


async def _tell(
    socket: JsonSocket, services: Services, user: str, after: Seq | None, *, record: bool
) -> None:
    session = await services.users.open(user)
    if after is None:
        after = (await services.users.state(user)).delivered
    async with services.tailer.follow(session, after) as batches:
        async for batch in batches:
            news = [recorded for recorded in batch if recorded.type == "notification.raised"]
            for recorded in news:
                await socket.send(message(recorded))
            if news and record:
                await services.users.delivered(user, news[-1].seq)


def message(recorded: Recorded) -> Message:
    """A notification in the words of the stories' clients."""
    data = recorded.data
    told: Message = {
        "type": data["kind"],
        "scene_id": data["scene"],
        "story_id": data["story"],
        "session_id": data["session"],
        "id": recorded.seq,
        "created_ms": recorded.ts_ms,
    }
    if data["kind"] == "tts_ready":
        return {**told, "chunk_count": data["chunk_count"], "auto_play": data["auto_play"]}
    return {**told, "code": data["code"], "message": data["message"]}
