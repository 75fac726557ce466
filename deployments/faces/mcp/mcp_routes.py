"""The route of MCP's streamable HTTP, without sessions of its own: docs/mcp.md."""

import importlib
from typing import Any, Final

import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from deployments.faces.native.session_routes import Open
from deployments.web.body_limits import BoundedRoute
from deployments.web.resource_access import Caller
from schemas.bounds import VALUES, too_many_in
from schemas.errors import BodyTooLarge

router = APIRouter(prefix="/v1", tags=["mcp"], route_class=BoundedRoute)

PATH: Final = "/v1/mcp"
"""Takes bodies as large as chat completions do: recordings are in them."""
_TOOLS: Final = "deployments.faces.mcp.mcp_tools"
_UNREADABLE: Final = {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}}
_MESSAGE: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
}
_REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    400: {
        "description": "An error of JSON-RPC",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


@router.post("/mcp", response_class=Response, openapi_extra=_MESSAGE, responses=_REFUSED)
async def mcp(services: Open, caller: Caller, request: Request) -> Response:
    """One message of an MCP client, answered by an event or by JSON."""
    try:
        message = await request.json()  # within bounds, and off the loop: the SDK reads whatever comes, on it
    except (ValueError, RecursionError):
        return JSONResponse(_UNREADABLE, 400)
    if await anyio.to_thread.run_sync(_holds_too_many, message):
        raise BodyTooLarge(f"an argument has more than {VALUES} values", field="params.arguments")
    tools = await anyio.to_thread.run_sync(importlib.import_module, _TOOLS)
    answer: Response = tools.McpAnswer(services, caller, await request.body())
    return answer


def _holds_too_many(message: Any) -> bool:
    """Whether an argument is text that holds more JSON than a request may: the SDK reads it, too."""
    params = message.get("params") if isinstance(message, dict) else None
    arguments = params.get("arguments") if isinstance(params, dict) else None
    texts = arguments.values() if isinstance(arguments, dict) else ()
    return any(
        too_many_in(text.encode(errors="replace"))
        for text in texts
        if isinstance(text, str) and text.lstrip().startswith(("[", "{"))
    )
