"""The Realtime API's socket: one more face on an ordinary session, which it creates or takes up."""

from contextlib import suppress

import anyio
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from deployments.container import GatewayContainer
from deployments.faces.realtime.realtime_connection import Connection
from deployments.faces.realtime.realtime_opening import Opened, open_session
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
    await _converse(websocket, socket, services, opened)


async def _converse(
    websocket: WebSocket, socket: RealtimeSocket, services: GatewayContainer, opened: Opened
) -> None:
    """Until either side leaves; whichever task ends first ends the others."""
    connection = Connection(services, socket, opened)
    try:
        async with anyio.create_task_group() as tasks:

            async def receive() -> None:
                await connection.receive()
                tasks.cancel_scope.cancel()

            await connection.send_created()
            tasks.start_soon(receive)
            tasks.start_soon(connection.work)
            tasks.start_soon(while_allowed, websocket)
            await connection.run()
            await socket.close()
            tasks.cancel_scope.cancel()
    except* (WebSocketDisconnect, TimeoutError):
        pass  # a client left, or takes nothing any more
    except* RhapsodeError as group:
        with suppress(WebSocketDisconnect):
            await socket.refuse(_first(group))
    finally:
        connection.leave()


def _first(group: BaseExceptionGroup[RhapsodeError]) -> RhapsodeError:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
