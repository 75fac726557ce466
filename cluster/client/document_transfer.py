"""Requests of `rhapsode documents` to a running system."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import anyio

from cluster.client.http_client import LONG, Client, arriving, read
from cluster.terminal.cli_errors import CliError, UsageError
from cluster.terminal.console import Note, Steps
from cluster.terminal.requests import refusal
from schemas.ids import parse_session_id

_KINDS: Final = frozenset({".pdf", ".docx", ".html", ".htm", ".md", ".markdown", ".txt"})
_PAGE: Final = 200


def files_of(paths: Sequence[Path]) -> list[Path]:
    """Files as they are, folders by what is in them. Raises CliError."""
    found = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix.lower() in _KINDS)
            if not inside:
                raise UsageError(f"There are no documents in {path}.", "Give the files by name.")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise UsageError(f"There is no {path}.", "Give files or folders of them.")
    return found


async def add(url: str, name: str, files: Sequence[Path], steps: Steps) -> None:
    """Add files one after the other; one that is refused does not keep the others out. Raises CliError."""
    failed = []
    async with _Collections(url) as collections:
        collection = await collections.named(name, make=True)
        known = {one["name"]: one["id"] for one in await collections.contents(collection)}
        for file in files:
            try:
                with steps.step(f"Adding {file.name}") as note:
                    await collections.send(collection, file, known.get(file.name), note)
            except CliError as error:
                if len(files) == 1:
                    raise
                steps.say(f"  {error} {error.advice}")
                failed.append(file.name)
    if failed:
        raise CliError(f"Not added: {', '.join(failed)}.", "The lines above tell why.")


async def listed(url: str, name: str | None) -> list[dict[str, Any]]:
    """Collections with their contents. Raises CliError."""
    async with _Collections(url) as collections:
        found = await collections.all()
        if name is not None:
            wanted = await collections.named(name)
            found = [one for one in found if one["id"] == wanted] or [await collections.get(wanted)]
        return [{**one, "contents": await collections.contents(one["id"])} for one in found]


async def search(url: str, name: str, wish: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Passages. Raises CliError."""
    async with _Collections(url) as collections:
        collection = await collections.named(name)
        answer = await collections.ask("POST", f"/v1/collections/{collection}/search", json=dict(wish))
        passages: list[dict[str, Any]] = answer["passages"]
        return passages


async def remove(url: str, name: str, names: Sequence[str], everything: bool) -> str:
    """Removes documents and reports them. Raises CliError."""
    if bool(names) == everything:
        raise UsageError("Say which documents, or --all.", "rhapsode documents list shows them.")
    async with _Collections(url) as collections:
        collection = await collections.named(name)
        if everything:
            await collections.ask("DELETE", f"/v1/collections/{collection}")
            return name
        known = await collections.contents(collection)
        for wanted in names:
            found = [one["id"] for one in known if wanted in (one["id"], one["name"])]
            if not found:
                raise CliError(f"There is no document {wanted}.", "rhapsode documents list shows them.")
            for document in found:
                await collections.ask("DELETE", f"/v1/collections/{collection}/documents/{document}")
        return ", ".join(names)


class _Collections(Client):
    """Collections at a running system. Use as a context manager."""

    async def ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        with arriving("No answer"):
            return read(await self._http.request(method, path, timeout=LONG, **more))

    async def all(self) -> list[dict[str, Any]]:
        """The oldest first."""
        found: list[dict[str, Any]] = []
        query: dict[str, str | int] = {"limit": _PAGE}
        while True:
            page = await self.ask("GET", "/v1/collections", params=query)
            found += page["collections"]
            if not page["next"]:
                return found[::-1]
            query["before"] = page["next"]

    async def get(self, collection: str) -> dict[str, Any]:
        return await self.ask("GET", f"/v1/collections/{collection}")

    async def named(self, name: str, *, make: bool = False) -> str:
        """The id of a collection. Raises CliError."""
        if parse_session_id(name) is not None:
            return name
        known = await self.all()
        found = [str(one["id"]) for one in known if one["name"] == name]
        if len(found) > 1:
            raise CliError(f"Several collections are called {name}.", f"Use an id: {', '.join(found)}.")
        if found:
            return found[0]
        if make:
            return str((await self.ask("POST", "/v1/collections", json={"name": name}))["id"])
        there = ", ".join(str(one["name"]) for one in known) or "none"
        raise CliError(f"There is no collection {name}.", f"There is: {there}.")

    async def contents(self, collection: str) -> list[dict[str, Any]]:
        answer = await self.ask("GET", f"/v1/collections/{collection}/documents")
        documents: list[dict[str, Any]] = answer["documents"]
        return documents

    async def send(self, collection: str, file: Path, document: str | None, note: Note) -> None:
        path = f"/v1/collections/{collection}/documents"
        fields = {} if document is None else {"document_id": document}
        with arriving(f"{file.name} did not arrive", file):
            given = {"file": (file.name, await anyio.Path(file).read_bytes())}
            wanted = {"Accept": "text/event-stream"}
            sent = self._http.stream("POST", path, files=given, data=fields, headers=wanted, timeout=LONG)
            async with sent as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise refusal(answer)
                async for line in answer.aiter_lines():
                    if line.startswith('data: {"seq"'):
                        _take(json.loads(line.removeprefix("data: ")), note)


def _take(event: Mapping[str, Any], note: Note) -> None:
    """Raises CliError for a document that could not be added."""
    data = event.get("data", {})
    match event.get("type"):
        case "document.progressed":
            note(f"{data['state']}, {data['done']:.0%}")
        case "document.added":
            note(f"{data['view']['title']}, {data['view']['chunks']} passages")
        case "document.failed":
            raise CliError(f"Refused: {data['message']}", f"Code: {data['code']}.")
        case "document.removed":
            raise CliError("It was removed while it was being added.")
