"""Sending on a WebSocket whose client may be gone, or may have been seen out, at any moment."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import anyio
from fastapi import WebSocketDisconnect

SEND_S: Final = 20.0
"""A client that takes nothing for so long is let go: it may come back with its cursor."""
GONE: Final = 1006


@contextmanager
def delivery() -> Generator[None, None, None]:
    """Around a send or a close. Raises WebSocketDisconnect if the client is gone or the connection was closed
    by somebody else here, TimeoutError if the client does not read."""
    with anyio.fail_after(SEND_S):
        try:
            yield
        except RuntimeError as error:  # Starlette's and uvicorn's word for: closed already
            raise WebSocketDisconnect(GONE) from error
