"""Common parts of our fake servers: they are on a loopback port, and misbehave when told to."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from tests.support.servers.web_server_thread import serving_somewhere


@dataclass
class FakeServer:
    """A server and what it is told to do; change it between requests."""

    url: str = ""
    key: str | None = None
    refusals: list[tuple[int, Any]] = field(default_factory=list)
    """Status and body of the next answers."""
    silent: bool = False
    """Requests are taken and never answered."""
    stalls: bool = False
    """Where an answer is to be cut, nothing more comes instead."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    hung_up: int = 0
    """Answers whose reader left before their end."""

    def forget(self) -> None:
        """Behave again, and remember nothing."""
        vars(self).update(vars(type(self)(self.url)))

    def refused(self, request: Request) -> Response | None:
        """To be sent in place of an answer, if anything is."""
        given = request.headers.get("authorization")
        if self.key is not None and given != f"Bearer {self.key}":
            return JSONResponse({"error": {"message": f"Incorrect API key provided: {given}"}}, 401)
        if self.refusals:
            status, body = self.refusals.pop(0)
            return JSONResponse(body, status)
        return None


def event(**data: Any) -> bytes:
    """As servers send it."""
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


@contextmanager
def open_server(remote: FakeServer, app: FastAPI, what: str) -> Iterator[None]:
    """Serve until the block ends."""
    with serving_somewhere(app, what) as remote.url:
        try:
            yield
        finally:
            remote.forget()  # before the server stops: some requests wait for that
