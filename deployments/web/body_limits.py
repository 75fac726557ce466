"""Bounds of request bodies: refused while they arrive, or when there is too much JSON in them."""

import json
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from re import Pattern
from typing import Any, Final

import anyio.to_thread
import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.container import GatewayContainer
from deployments.web.problem_details import refusal
from deployments.web.resource_access import PRINCIPAL
from pipeline.auth.principals import Principal
from schemas.bounds import VALUES, too_many, too_many_in
from schemas.errors import BodyTooLarge, GatewayBusy, RhapsodeError
from schemas.errors.access_errors import UploadLimit

SIGNED: Final = "/v1/telephone/"
"""Paths whose face checks the sender's signature itself, and has to read the body for that ..."""
SIGNED_BYTES: Final = 64 * 1024
"""... of so many bytes at most, since its sender is not known until then."""
ARRIVING_BYTES: Final = 512 << 20
"""Of bodies in memory whose requests are not answered yet; a quarter of one principal's."""
_AGAIN_S: Final = 5.0
_AT_ONCE: Final = 64 * 1024
"""Bytes that are read and checked on the loop; more of them would keep others waiting."""


Check = Callable[[Any], tuple[Any, Sequence[Any]]]
"""Makes a body's model. Returns it, or what is wrong with the body."""


class _Invalid(HTTPException):
    """FastAPI lets nothing else but a JSONDecodeError through where it reads a body."""

    def __init__(self, errors: Sequence[Any]) -> None:
        super().__init__(HTTPStatus.UNPROCESSABLE_ENTITY)
        self.errors = errors


class _Bounded(Request):
    def __init__(self, scope: Scope, receive: Receive, check: Check | None) -> None:
        super().__init__(scope, receive)
        self._check = check

    async def json(self) -> Any:
        """Of a long body the model that the route takes, made beside the loop. Raises JSONDecodeError or
        HTTPException."""
        body = await self.body()
        if len(body) <= _AT_ONCE:
            return _read(body)
        return await anyio.to_thread.run_sync(self._checked, body)

    def _checked(self, body: bytes) -> Any:
        raw = _read(body)
        if self._check is None:
            return raw
        checked, errors = self._check(raw)
        if errors:
            raise _Invalid(errors)
        return checked


async def read_json(text: str | bytes) -> Any:
    """The value of a message or a form's field. Raises orjson.JSONDecodeError or BodyTooLarge."""
    return _loaded(text) if len(text) <= _AT_ONCE else await anyio.to_thread.run_sync(_loaded, text)


def _loaded(text: str | bytes) -> Any:
    if too_many_in(text.encode(errors="replace") if isinstance(text, str) else text) or too_many(
        raw := orjson.loads(text)
    ):
        raise BodyTooLarge(_TOO_MANY, field="body")
    return raw


def _read(body: bytes) -> Any:
    if too_many_in(body) or too_many(raw := json.loads(body.decode("utf-8-sig"))):
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_MANY)
    return raw


_TOO_MANY: Final = f"the body has more than {VALUES} values"


class BoundedRoute(APIRoute):
    """For `APIRouter(route_class=...)`, of all routes that take JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        field = self.body_field
        whole = field is not None and field in self.dependant.body_params
        check = partial(field.validate, loc=("body",)) if field is not None and whole else None

        async def bounded(request: Request) -> Response:
            try:
                return await handle(_Bounded(request.scope, request.receive, check))
            except _Invalid as error:
                raise RequestValidationError(error.errors) from error

        return bounded


@dataclass(slots=True)
class _Body:
    """One request's body, as far as it has come."""

    limit: int
    whose: str
    arriving: Counter[str]
    """Bytes of all bodies whose requests are not answered yet, by principal."""
    received: int = 0
    held: int = 0
    error: RhapsodeError | None = None
    """Why it is refused."""

    def take(self, size: int) -> None:
        """So many bytes have come. A client may take any time to send the rest."""
        self.received, self.held = self.received + size, self.held + size
        self.arriving[self.whose] += size
        if self.received > self.limit:
            self.error = BodyTooLarge(f"the body is larger than {self.limit} bytes", field="body")
        elif size and self.arriving.total() > ARRIVING_BYTES:
            self.error = GatewayBusy("too many bodies of requests are arriving; try again shortly")
        elif size and self.whose and self.arriving[self.whose] > ARRIVING_BYTES // 4:
            self.error = UploadLimit("too much of your requests is arriving at once", retry_after_s=_AGAIN_S)

    def let_go(self) -> None:
        """The request is answered, or given up."""
        self.arriving[self.whose] -= self.held
        self.arriving += Counter()  # principals of whom nothing arrives are forgotten
        self.held = 0


class BodyLimit:
    """Refuses request bodies over the limit while they arrive, before anything holds them."""

    def __init__(
        self, app: ASGIApp, *, limit: int, files: Sequence[Pattern[str]], chat: Sequence[str]
    ) -> None:
        """`files`: paths of uploads that are not held in memory; `chat`: paths with a limit of their own."""
        self._app = app
        self._limit = limit
        self._files = files
        self._chat = chat
        self._arriving: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_file(scope):
            await self._app(scope, receive, send)
            return
        principal: Principal | None = scope.get(PRINCIPAL)
        body = _Body(self._limit_of(scope), "" if principal is None else principal.name, self._arriving)

        async def counted() -> Message:
            message = await receive()
            body.take(len(message.get("body", b"")))
            return message if body.error is None else {"type": "http.disconnect"}

        async def unless_refused(message: Message) -> None:
            if body.error is None:
                body.let_go()
                await send(message)

        try:
            await self._app(scope, counted, unless_refused)
        except Exception:
            if body.error is None:
                raise
        finally:
            body.let_go()
        if body.error is not None:
            await refusal(body.error, scope)(scope, receive, send)

    def _limit_of(self, scope: Scope) -> int:
        if _path(scope).startswith(SIGNED):
            return min(self._limit, SIGNED_BYTES)
        if _path(scope) not in self._chat:
            return self._limit
        services: GatewayContainer = scope["app"].state.services
        return max(self._limit, services.settings.openai.chat_bytes)

    def _is_file(self, scope: Scope) -> bool:
        return scope["method"] == "POST" and any(path.fullmatch(_path(scope)) for path in self._files)


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
