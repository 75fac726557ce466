"""The client library of clients/python as commands use it, with advice on refusals; `export` and `import`."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self

import anyio
import httpx

from cluster.terminal import run_state
from cluster.terminal.cli_errors import ADVICE, CliError, UsageError
from cluster.terminal.requests import refusal
from rhapsode.connection import PATIENCE_S, RETRY_MOST_S, ApiError, Connection, Event, new_key
from schemas.native.comparison_answers import COMPARISON_LINE, ComparisonLine

_IMPORT_S: Final = 600.0
"""A long session is checked and written before the server answers."""
LONG: Final = httpx.Timeout(PATIENCE_S, read=None)
"""Timeouts of a request that is answered when its work is done."""
_PIECE_BYTES: Final = 256 * 1024


class Client:
    """Talks to one running system. Use as a context manager."""

    def __init__(self, url: str) -> None:
        self._connection = Connection(url, run_state.credential())
        self._http = self._connection.http

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def create(self, settings: Mapping[str, Any], title: str = "") -> str:
        """A new session's id."""
        answer = await self._call("POST", "/v1/sessions", {"settings": settings, "title": title})
        session: str = answer["session_id"]
        return session

    async def request(self, session: str, **words: str) -> int:
        """Ask `prompt=` or have `text=` read out; the turn's number. Safe to repeat: the key stays."""
        body = {**words, "key": new_key()}
        answer = await self._call("POST", f"/v1/sessions/{session}/turns", body)
        turn: int = answer["turn"]
        return turn

    async def control(self, session: str, action: str) -> None:
        await self._call("POST", f"/v1/sessions/{session}/control", {"action": action})

    async def download(self, session: str, audio_format: str, file: Path, turn: int | None = None) -> int:
        """Write what was spoken so far; the number of bytes."""
        query = {"format": audio_format} | ({"turn": str(turn)} if turn else {})
        return await self._save(f"/v1/sessions/{session}/audio", query, file)

    async def export(self, session: str, file: Path) -> int:
        """Write everything of the session into a ZIP file; the number of bytes."""
        return await self._save(f"/v1/sessions/{session}/export", {}, file)

    async def bring(self, file: Path) -> dict[str, Any]:
        """Make a session of an exported one; what the server says of it. Never repeated: it might be two."""
        with arriving("The file did not arrive", file):
            size = (await anyio.Path(file).stat()).st_size
            async with await anyio.open_file(file, "rb") as bundle:
                answer = await self._http.post(
                    "/v1/sessions/import",
                    content=_pieces(bundle),
                    headers={"Content-Type": "application/zip", "Content-Length": str(size)},
                    timeout=httpx.Timeout(PATIENCE_S, read=_IMPORT_S),
                )
        return read(answer)

    async def _save(self, path: str, query: Mapping[str, str], file: Path) -> int:
        """Write what comes; a file that did not arrive whole does not get its name."""
        part = file.with_name(f".{file.name}.part")
        size = 0
        try:
            with arriving(f"{file.name} did not arrive"):
                async with self._http.stream("GET", path, params=query) as answer:
                    if answer.is_error:
                        await answer.aread()
                        raise refusal(answer)
                    with part.open("wb") as out:
                        async for piece in answer.aiter_bytes():
                            size += out.write(piece)
            part.replace(file)
        except OSError as error:
            raise CliError(f"{file} cannot be written: {error.strerror}.", "Choose another file.") from error
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        return size

    async def head(self, session: str) -> int:
        """The number of the session's last event."""
        head: int = read(await self._http.get(f"/v1/sessions/{session}"))["head_seq"]
        return head

    async def hear(self, session: str, file: Path, reference: str = "") -> dict[str, Any]:
        """Let the session listen to a recording; what was understood, when all of it is written down."""
        with arriving(f"{file.name} did not arrive", file):
            async with await anyio.open_file(file, "rb") as recording:
                answer = await self._http.post(
                    f"/v1/sessions/{session}/recordings",
                    params={"name": file.name[:200], "reference": reference},
                    content=_pieces(recording),
                    headers={"Content-Type": "application/octet-stream"},
                    timeout=LONG,
                )
        return read(answer)

    async def compare(self, session: str, busy: Callable[[], None]) -> AsyncGenerator[ComparisonLine, None]:
        """The lines of a comparison; `busy` is told while somebody else's has to be waited for."""
        path, patience = f"/v1/sessions/{session}/comparisons", httpx.Timeout(PATIENCE_S, read=_IMPORT_S)
        while True:
            try:
                async with self._http.stream("POST", path, timeout=patience) as answer:
                    if answer.is_success:
                        async for line in answer.aiter_lines():
                            yield COMPARISON_LINE.validate_json(line)
                        return
                    await answer.aread()
            except httpx.HTTPError as error:
                raise CliError(f"The comparison broke off: {error}.", "See rhapsode status.") from error
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                raise refusal(answer)
            busy()
            await anyio.sleep(RETRY_MOST_S)

    async def events(self, session: str, after: int = 0, **wish: str | int) -> AsyncGenerator[Event, None]:
        """Every event after `after`, in order, each once, until the server says that it was the last.

        `wish` is the protocol's query: turn, speed, follow, audio. Dropped connections are resumed.
        """
        try:
            async with aclosing(self._connection.follow(session, after, wish)) as events:
                async for event in events:
                    yield event
        except ApiError as error:
            raise _advised(error) from error

    async def _call(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return await self._connection.call(method, path, body)
        except ApiError as error:
            raise _advised(error) from error


@contextmanager
def arriving(failure: str, file: Path | None = None) -> Iterator[None]:
    """Raises CliError with `failure` for a broken connection, and for a `file` that cannot be read."""
    try:
        yield
    except httpx.HTTPError as error:
        raise CliError(f"{failure}: {error}.", "See rhapsode status.") from error
    except OSError as error:
        if file is None:
            raise
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from error


def read(answer: httpx.Response) -> dict[str, Any]:
    """The JSON of an answer; empty for none. Raises CliError for a refusal."""
    if not answer.is_success:
        raise refusal(answer)
    body: dict[str, Any] = answer.json() if answer.content else {}
    return body


def _advised(error: ApiError) -> CliError:
    if error.code == "connection.lost":
        return CliError(str(error), "See rhapsode status.")
    said = f"Refused: {str(error).rstrip('.')}." if error.status else str(error)
    return CliError(said, ADVICE.get(error.code, f"Code: {error.code}."))


async def _pieces(file: anyio.AsyncFile[bytes]) -> AsyncGenerator[bytes, None]:
    while piece := await file.read(_PIECE_BYTES):
        yield piece


async def export(url: str, session: str, file: Path, force: bool = False) -> str:
    """Write the session's bundle to `file`; what to tell the user. Overwrites only with `force`."""
    if await anyio.Path(file).exists() and not force:
        raise UsageError(f"{file} is there already.", "Add --force, or choose another.")
    folder = anyio.Path(file).parent
    if not await folder.is_dir():
        raise UsageError(f"There is no folder {folder}.", "Make it first.")
    async with Client(url) as client:
        size = await client.export(session, file)
    return f"{file} holds session {session} ({size / 1_000:,.0f} kB)."


async def bring(url: str, file: Path) -> str:
    """Send `file` to the server; what to tell the user."""
    async with Client(url) as client:
        created = await client.bring(file)
    return f"Session {created['session_id']}: rhapsode replay {created['session_id']}"
