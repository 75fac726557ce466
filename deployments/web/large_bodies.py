"""JSON bodies that may be large: read beside the loop, and refused when there is too much in them."""

import json
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final

import anyio.to_thread
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from schemas.bounds import VALUES, too_many

_AT_ONCE: Final = 256 * 1024
"""Bytes that are read on the loop; more of them would keep others waiting."""


class _Bounded(Request):
    async def json(self) -> Any:
        """Raises JSONDecodeError, or HTTPException: FastAPI lets nothing else through."""
        body = await self.body()
        raw, many = _read(body) if len(body) <= _AT_ONCE else await anyio.to_thread.run_sync(_read, body)
        if many:
            raise HTTPException(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {VALUES} values"
            )
        return raw


def _read(body: bytes) -> tuple[Any, bool]:
    raw = json.loads(body)
    return raw, too_many(raw)


class BoundedRoute(APIRoute):
    """For `APIRouter(route_class=...)`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            return await handle(_Bounded(request.scope, request.receive))

        return bounded
