"""The web application: health, the page, the faces. Knows no Ray, so that tests run it in-process."""

import logging
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import anyio
import orjson
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route

from deployments.container import GatewayContainer
from deployments.faces.admin import admin_routes, gateway_routes
from deployments.faces.anthropic import message_routes
from deployments.faces.assistant import assistant_socket, whole_answer_route
from deployments.faces.conversations import (
    character_routes,
    conversation_routes,
    thread_routes,
    thread_socket,
)
from deployments.faces.durable import stream_routes
from deployments.faces.mcp import mcp_routes
from deployments.faces.native import (
    access_routes,
    collection_routes,
    document_routes,
    event_routes,
    local_model_routes,
    media_routes,
    recording_routes,
    session_routes,
    session_socket,
    text_routes,
    transfer_routes,
)
from deployments.faces.openai.routes import (
    chat_routes,
    embedding_routes,
    model_routes,
    openai_forms,
    speech_routes,
    transcription_routes,
)
from deployments.faces.realtime import client_secret_routes, realtime_connection
from deployments.faces.realtime.webrtc import call_routes
from deployments.faces.responses import response_routes
from deployments.faces.stories import (
    narration_routes,
    narration_settings_routes,
    notification_socket,
    story_routes,
)
from deployments.faces.telephone import telephone_routes
from deployments.faces.ui import ui_chat_routes
from deployments.observability import log_redaction
from deployments.web import problem_details
from deployments.web.auth_middleware import PUBLIC, AuthMiddleware
from deployments.web.body_limits import SIGNED, BodyLimit
from deployments.web.direct_listener import listening
from deployments.web.error_shapes import anthropic_problems, openai_problems
from deployments.web.page_files import PageFiles
from deployments.web.resource_access import guard
from pipeline.core.clock import Lately
from schemas.anthropic.anthropic_answers import AnthropicError
from schemas.errors import RhapsodeError
from schemas.native.native_messages import Health, Problem
from schemas.openai.openai_answers import OpenAiError
from schemas.settings.limit_settings import GatewaySettings
from schemas.version import BUILD, VERSION

_REF: Final = "#/components/schemas/{model}"
_NOT_OURS: Final = ("HTTPValidationError", "ValidationError")
"""FastAPI's own words for wrong requests; ours is a problem document."""


def describe(app: FastAPI) -> None:
    """Credentials are asked for before any route, and every route may answer with a problem."""
    described = app.openapi

    def whole() -> dict[str, Any]:
        if app.openapi_schema is not None:  # made once, whoever asks how often
            return app.openapi_schema
        document = described()
        components = document["components"]
        components["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer", "description": "A key, a token or a share link."},
            "token": {"type": "apiKey", "in": "query", "name": "token", "description": "Never an API key."},
        }
        components["schemas"]["Problem"] = Problem.model_json_schema(ref_template=_REF)
        for answer in (OpenAiError, AnthropicError):
            schema = answer.model_json_schema(ref_template=_REF)
            components["schemas"] |= {**schema.pop("$defs"), answer.__name__: schema}
        for name in _NOT_OURS:
            components["schemas"].pop(name, None)
        document["security"] = [{"bearer": []}, {"token": []}]
        for path, operation in _operations(document):
            operation["responses"].pop("422", None)
            operation["responses"].setdefault("default", _refusal(path))
            for body in operation.get("requestBody", {}).get("content", {}).values():
                components["schemas"] |= body.get("schema", {}).pop("$defs", {})
            if path in PUBLIC or path.startswith(SIGNED):
                operation["security"] = []
        return document

    app.openapi = whole  # type: ignore[method-assign]
    made, making = cache(lambda: orjson.dumps(app.openapi())), anyio.Lock()

    async def tell(_: Request) -> Response:
        """It takes a second to make: in a thread, as the loop would serve no other request meanwhile."""
        async with making:
            return Response(await anyio.to_thread.run_sync(made), media_type="application/json")

    app.add_route("/openapi.json", tell, include_in_schema=False)


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            yield path, operation


def _refusal(path: str) -> dict[str, Any]:
    for name, paths in (("OpenAI", openai_problems.PATHS), ("Anthropic", anthropic_problems.PATHS)):
        if paths.fullmatch(path):
            schema = {"schema": {"$ref": _REF.format(model=f"{name.replace('AI', 'Ai')}Error")}}
            told = f"The error, as {name} says it."
            return {"description": told, "content": {"application/json": schema}}
    problem = {"schema": {"$ref": _REF.format(model="Problem")}}
    return {
        "description": "The error, by a stable code (docs/schemas/errors.json), and where.",
        "content": {"application/problem+json": problem},
    }


WEB: Final = (Path(__file__).parents[0] / "page").resolve()
"""In a checkout a link to the folder beside this one; in a wheel the files themselves."""
_CHECK_S: Final = 3.0
_HEALTH_S: Final = 1.0
"""Seconds a health answer is kept: any client may ask, and each check asks every part."""

logger = logging.getLogger(__name__)
OpenServices = Callable[[], AbstractAsyncContextManager[GatewayContainer]]


def create_app(
    open_services: OpenServices, *, body_bytes: int, gateway: GatewaySettings | None = None
) -> FastAPI:
    """The gateway as an ASGI application; its services open and close with the lifespan.

    `gateway` may ask for a listener of its own, which lives as long.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        try:
            async with open_services() as services:
                app.state.services = services
                leaving = services.leaving
                async with listening(app, gateway or GatewaySettings(), leaving.drain):
                    async with _faces().lifespan_context(app):
                        yield
                    await leaving.go("stopped")
        except Exception:  # the server around this one tells it among many other lines
            logger.exception("this gateway could not be opened, or a part of it broke: it is closed")
            raise

    app = FastAPI(
        title="Rhapsode",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        description="Narrated answers from an event log.",
        dependencies=[Depends(guard)],
    )
    log_redaction.install()
    problem_details.install(app)
    app.add_middleware(BodyLimit, limit=body_bytes, files=_FILES, chat=_CHAT)
    app.add_middleware(AuthMiddleware)
    app.router.routes.extend(_faces().routes)
    _add_health(app)
    _add_page(app)
    describe(app)
    return app


@cache
def _faces() -> APIRouter:
    """Routes of all faces, worked out once in a process, however many applications it makes."""
    router = APIRouter(dependencies=[Depends(guard)])
    for face in FACES:
        router.include_router(face)
    return router


def _add_health(app: FastAPI) -> None:
    lately = Lately[Health](_HEALTH_S)

    @app.head("/v1/health", include_in_schema=False)
    @app.get("/v1/health", tags=["service"], responses={503: {"model": Health}})
    async def health(request: Request, response: Response) -> Health:
        """Whether every part works; 503 with the same body if one does not. At most a second old."""
        found = await lately.get(partial(look, request.app.state.services))
        response.status_code = 200 if found.status == "ok" else 503
        return found

    async def look(services: GatewayContainer) -> Health:
        found: dict[str, str] = {}
        broken: list[str] = []

        async def check(name: str) -> None:
            try:
                with anyio.fail_after(_CHECK_S):
                    found[name] = await services.checks[name]() or "ok"
            except (RhapsodeError, TimeoutError) as error:
                found[name] = str(error) or "does not answer"
                broken.append(name)

        async with anyio.create_task_group() as group:
            for name in services.checks:
                group.start_soon(check, name)
        return Health(status="degraded" if broken else "ok", version=BUILD, **found)


def _add_page(app: FastAPI) -> None:
    """The page, the reference of all routes (FastAPI's own takes scripts from elsewhere), and their files."""
    files = _page_files()
    for path, name in (("/", "index.html"), ("/docs", _REFERENCE), ("/redoc", _REFERENCE)):
        app.router.routes.append(Route(path, files.page(name), methods=["GET"]))
    app.mount("/web", GZipMiddleware(files), name="web")


@cache
def _page_files() -> PageFiles:
    """Read and bundled once in a process, however many applications it makes."""
    return PageFiles(WEB)


_REFERENCE: Final = "reference/reference.html"
_CHAT: Final = (
    *(chat_routes.PATH, response_routes.PATH, message_routes.PATH),
    *(ui_chat_routes.PATH, mcp_routes.PATH),
)
_FILES: Final = (
    recording_routes.PATH,
    document_routes.PATH,
    text_routes.PATH,
    openai_forms.PATH,
    re.compile(transfer_routes.IMPORT),
)
"""Paths of bundles, recordings and documents, which are not held in memory."""
FACES: Final[tuple[APIRouter, ...]] = tuple(
    face.router
    for face in (
        admin_routes,
        assistant_socket,
        whole_answer_route,
        character_routes,
        collection_routes,
        conversation_routes,
        document_routes,
        text_routes,
        gateway_routes,
        session_routes,
        access_routes,
        transfer_routes,
        local_model_routes,
        media_routes,
        recording_routes,
        event_routes,
        session_socket,
        chat_routes,
        embedding_routes,
        mcp_routes,
        message_routes,
        model_routes,
        response_routes,
        speech_routes,
        transcription_routes,
        realtime_connection,
        client_secret_routes,
        call_routes,
        story_routes,
        stream_routes,
        telephone_routes,
        thread_socket,
        thread_routes,
        ui_chat_routes,
        narration_routes,
        narration_settings_routes,
        notification_socket,
    )
)
