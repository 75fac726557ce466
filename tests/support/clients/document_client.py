"""A client of collections and documents."""

import asyncio
import json
from collections.abc import Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from tests.support.clients.native_client import Heard, frames, open_stream
from tests.support.running_app import RunningApp

T = TypeVar("T")
BEES = "# The hive\n\nBees dance to tell where flowers are.\n\n## Wax\n\nThey build their combs of wax."


@dataclass(frozen=True)
class Shelves:
    """Collections at a running application."""

    app: RunningApp
    http: httpx.AsyncClient

    async def create(self, name: str = "notes") -> str:
        made = await self.http.post("/v1/collections", json={"name": name})
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    async def send(
        self, collection: str, data: bytes | str, name: str = "bees.md", *, kind: str = "", **fields: str
    ) -> httpx.Response:
        raw = data.encode() if isinstance(data, str) else data
        files = {"file": (name, raw, kind) if kind else (name, raw)}
        return await self.http.post(f"/v1/collections/{collection}/documents", files=files, data=fields)

    async def add(
        self, collection: str, data: bytes | str = BEES, name: str = "bees.md", **fields: str
    ) -> Any:
        """The view of a document that must be taken."""
        answer = await self.send(collection, data, name, **fields)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def get(self, path: str, **query: str | int) -> Any:
        answer = await self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def documents(self, collection: str) -> Any:
        return (await self.get(f"/v1/collections/{collection}/documents"))["documents"]

    async def until_listed(self, collection: str) -> None:
        """The list of collections lags a moment behind."""
        listed = False
        while not listed:
            found = (await self.get("/v1/collections"))["collections"]
            listed = collection in [one["id"] for one in found]

    async def find(self, collection: str, question: str, **config: Any) -> Any:
        wish = {"question": question, "strategy": "keyword", **config}
        answer = await self.http.post(f"/v1/collections/{collection}/search", json=wish)
        assert answer.status_code == 200, answer.text
        return answer.json()["passages"]

    async def events(self, collection: str) -> list[dict[str, Any]]:
        """Everything that was told so far."""
        return await self.told(f"/v1/sessions/{collection}/events?follow=false")

    async def told(self, path: str) -> list[dict[str, Any]]:
        async with self.http.stream("GET", path) as answer:
            return events_in([line async for line in answer.aiter_lines()])

    async def in_the_gateway(self, work: Coroutine[Any, Any, T]) -> T:
        """On its loop, where its connections are."""
        assert self.app.loop is not None
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.app.loop))

    def additions_in_hand(self) -> int:
        services = self.app.services
        assert services is not None
        return services.collections.additions.in_hand

    async def heard_until(self, collection: str, kind: str, begun: Any = None) -> list[dict[str, Any]]:
        """A listener's events up to the first of this kind; `begun` is called when it listens."""
        heard = []
        async with open_stream(self.app.ws_url, collection) as socket, aclosing(frames(socket)) as stream:
            async for frame, _ in stream:
                if frame["type"] == "hello" and begun is not None:
                    begun()
                if "data" in frame:
                    heard.append(frame)
                if frame["type"] == kind:
                    break
        return heard


def events_in(lines: list[str]) -> list[dict[str, Any]]:
    found = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    return [event for event in found if "type" in event]


__all__ = ["BEES", "Heard", "Shelves", "events_in"]
