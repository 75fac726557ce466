"""The Realtime API's socket: one more face on an ordinary session, which it creates or takes up."""

from functools import partial

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from deployments.container import GatewayContainer
from deployments.faces.realtime.realtime_connection import Connection, converse
from deployments.faces.realtime.realtime_opening import open_session
from deployments.faces.realtime.realtime_socket import RealtimeSocket
from deployments.web.resource_access import Caller, while_allowed
from schemas.errors import RhapsodeError

router = APIRouter(prefix="/v1", tags=["realtime"])


@router.websocket("/realtime")
async def realtime(websocket: WebSocket, caller: Caller) -> None:
    """Speak or write, and be answered, in OpenAI's words; see docs/realtime.md."""
    services: GatewayContainer = websocket.app.state.services
    await websocket.accept()
    socket = RealtimeSocket(websocket)
    try:
        opened = await open_session(services, caller, websocket.query_params)
    except RhapsodeError as error:
        await socket.refuse(error)
        return
    except (WebSocketDisconnect, TimeoutError):
        return
    await converse(Connection(services, socket, opened), socket, partial(while_allowed, websocket))
