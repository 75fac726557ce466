"""Writes docs/openapi.json from the gateway's routes; `--check` only says whether it is current."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from deployments.asgi_app import create_app
from deployments.container import GatewayContainer
from schemas import export
from schemas.settings.limit_settings import LimitSettings


@asynccontextmanager
async def _nothing() -> AsyncGenerator[GatewayContainer, None]:
    """The application describes itself without being started."""
    raise RuntimeError("this application is only described, never run")
    yield


def documents() -> dict[str, Any]:
    return {"openapi.json": create_app(_nothing, body_bytes=LimitSettings().body_bytes).openapi()}


if __name__ == "__main__":
    sys.exit(export.run(documents(), sys.argv[1:]))
