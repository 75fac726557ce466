"""How much a request may hold: refused while it arrives."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.container import GatewayContainer
from deployments.faces.native import document_routes, recording_routes, transfer_routes
from deployments.faces.openai.routes import chat_routes, openai_forms
from deployments.web import problem_details
from schemas.errors import BodyTooLarge


class BodyLimit:
    """Refuses request bodies over the limit while they arrive, before anything holds them."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _has_its_own_limit(scope):
            await self._app(scope, receive, send)
            return
        received, limit = 0, self._limit_of(scope)

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                return {"type": "http.disconnect"}
            return message

        async def unless_too_large(message: Message) -> None:
            if received <= limit:
                await send(message)

        try:
            await self._app(scope, counted, unless_too_large)
        except Exception:
            if received <= limit:
                raise
        if received > limit:
            error = BodyTooLarge(f"the body is larger than {limit} bytes")
            await problem_details.refusal(error, scope)(scope, receive, send)

    def _limit_of(self, scope: Scope) -> int:
        if _path(scope) != chat_routes.PATH:
            return self._limit
        services: GatewayContainer = scope["app"].state.services
        return max(self._limit, services.settings.openai.chat_bytes)


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _has_its_own_limit(scope: Scope) -> bool:
    """Bundles, recordings and documents are not held in memory."""
    path = _path(scope)
    files = (recording_routes.PATH, document_routes.PATH, openai_forms.PATH)
    large = any(pattern.fullmatch(path) for pattern in files)
    return scope["method"] == "POST" and (large or path == transfer_routes.IMPORT)
