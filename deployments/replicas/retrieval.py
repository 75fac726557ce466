"""The Librarian deployment: a replica around one library of documents, and the client that looks like it."""

import functools
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final

import anyio.to_thread
import numpy as np
from ray.serve.handle import DeploymentHandle

from deployments.rpc.replica_telemetry import SILENT, Observed, Telemetry, answering
from deployments.rpc.result_stream_server import Item, error_item
from deployments.rpc.serve_client import CONTEXT, answer_of, items_of
from deployments.web.spool import path_of, spool_under
from pipeline.observability import span_names
from pipeline.observability.trace_propagation import inject
from pipeline.rag.document_library import open_library
from pipeline.rag.embeddings.embedder import Vectors
from pipeline.rag.reading.document_reader import UploadedDocument
from pipeline.rag.reading.extracted_text import ExtractedText
from pipeline.rag.retrieval_service import RetrievalService, TextPiece
from schemas.errors import EngineError, RhapsodeError
from schemas.errors.retrieval_errors import RetrievalUnavailable
from schemas.settings.retrieval_settings import (
    CollectionId,
    CollectionView,
    DocumentId,
    DocumentProgress,
    DocumentView,
    Passage,
    RetrievalSettings,
    SearchToolConfig,
)
from schemas.settings.telemetry_settings import TelemetrySettings

_PIECE_BYTES: Final = 1 << 20
"""No message is much larger than this but that of an upload, which has many of these."""


def _said(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Item]]:
    """Decorator: the replica answers {"value"}, or {"error", "message", "field"}."""

    @functools.wraps(method)
    async def answered(*arguments: Any) -> Item:
        try:
            return {"value": await method(*arguments)}
        except RhapsodeError as error:
            return error_item(error)

    return answered


class RetrievalReplica(Observed):
    """Reads, embeds, keeps and searches documents. Its models are loaded when the first document comes."""

    def __init__(
        self, settings: RetrievalSettings, home: Path, telemetry: TelemetrySettings = SILENT
    ) -> None:
        self.telemetry = Telemetry(telemetry, "Librarian")
        spool_under(home)
        self._library: RetrievalService = open_library(settings, home)

    async def add(
        self, collection: str, document: str, pieces: Sequence[bytes], name: str, declared: str | None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """DocumentProgress items as dicts; or {"error", "message", "field"}."""
        async with _arrived(pieces, name, declared) as upload:
            steps = self._library.add(CollectionId(collection), DocumentId(document), upload)
            try:
                async with aclosing(steps):
                    async for step in steps:
                        yield step.model_dump(mode="json")
            except RhapsodeError as error:
                yield error_item(error)

    @_said
    async def read(self, pieces: Sequence[bytes], name: str, declared: str | None) -> Any:
        async with _arrived(pieces, name, declared) as upload:
            found = await self._library.read(upload)
        return {"text": found.text, "title": found.title, "pages": found.pages}

    @_said
    async def create(self, name: str, collection: str | None) -> Any:
        view = await self._library.create(name, None if collection is None else CollectionId(collection))
        return view.model_dump(mode="json")

    @answering(span_names.REPLICA_RETRIEVE)
    @_said
    async def find(self, question: str, collections: Sequence[str], config: Mapping[str, Any]) -> Any:
        params = SearchToolConfig.model_validate(config)
        found = await self._library.find(question, [CollectionId(one) for one in collections], params)
        return [passage.model_dump(mode="json") for passage in found]

    @_said
    async def embed(self, texts: Sequence[str]) -> Any:
        rows = await self._library.embed(texts)
        return {"dimensions": rows.shape[1], "rows": rows.astype("<f4").tobytes()}

    @_said
    async def views(self, collection: str) -> Any:
        return [view.model_dump(mode="json") for view in await self._library.views(CollectionId(collection))]

    @_said
    async def text(self, collection: str, document: str, start: int, end: int, about: int) -> Any:
        which = CollectionId(collection), DocumentId(document)
        return asdict(await self._library.text(*which, start, end, about=about))

    @_said
    async def remove(self, collection: str, document: str) -> Any:
        return await self._library.remove(CollectionId(collection), DocumentId(document))

    @_said
    async def drop(self, collection: str) -> Any:
        return await self._library.drop(CollectionId(collection))

    @_said
    async def scrub(self) -> Any:
        return await self._library.scrub()

    @_said
    async def check(self) -> Any:
        return await self._library.check()

    async def check_health(self) -> None:
        """Called by Serve; blocking work has threads and processes of its own, so answering is the check."""


class RemoteRetrieval:
    """Satisfies Librarian over a Serve handle."""

    def __init__(self, handle: DeploymentHandle[Any]) -> None:
        self._handle = handle
        self._add = handle.options(method_name="add", stream=True)

    async def create(self, name: str, collection: CollectionId | None = None) -> CollectionView:
        return CollectionView.model_validate(await self._ask("create", name, collection))

    async def add(
        self, collection: CollectionId, document: DocumentId, upload: UploadedDocument
    ) -> AsyncGenerator[DocumentProgress, None]:
        pieces = await anyio.to_thread.run_sync(_pieces, upload.path)
        reply = self._add.remote(collection, document, pieces, upload.name, upload.declared)
        del pieces
        try:
            async with aclosing(items_of(reply)) as items:
                async for item in items:
                    yield DocumentProgress.model_validate(item, strict=False)
        except EngineError as error:
            raise _unreachable(error) from error

    async def read(self, upload: UploadedDocument) -> ExtractedText:
        """The text without its places."""
        pieces = await anyio.to_thread.run_sync(_pieces, upload.path)
        found = await self._ask("read", pieces, upload.name, upload.declared)
        return ExtractedText(found["text"], (), found["title"], found["pages"])

    async def find(
        self, question: str, collections: Sequence[CollectionId], config: SearchToolConfig
    ) -> list[Passage]:
        params = config.model_dump(mode="json")
        found = await self._ask("find", question, list(collections), params, **{CONTEXT: inject()})
        return [Passage.model_validate(passage) for passage in found]

    async def embed(self, texts: Sequence[str]) -> Vectors:
        made = await self._ask("embed", list(texts))
        rows: Vectors = np.frombuffer(made["rows"], "<f4").reshape(-1, made["dimensions"])
        return rows

    async def views(self, collection: CollectionId) -> list[DocumentView]:
        return [DocumentView.model_validate(view) for view in await self._ask("views", collection)]

    async def text(
        self, collection: CollectionId, document: DocumentId, start: int, end: int, *, about: int
    ) -> TextPiece:
        piece = await self._ask("text", collection, document, start, end, about)
        return TextPiece(**{**piece, "headings": tuple(piece["headings"])})

    async def remove(self, collection: CollectionId, document: DocumentId) -> bool:
        return bool(await self._ask("remove", collection, document))

    async def drop(self, collection: CollectionId) -> bool:
        return bool(await self._ask("drop", collection))

    async def scrub(self) -> bool:
        return bool(await self._ask("scrub"))

    async def check(self) -> None:
        await self._ask("check")

    async def aclose(self) -> None:
        """Nothing to close: the handle belongs to Serve."""

    async def _ask(self, method: str, *arguments: Any, **named: Any) -> Any:
        # Serve's gRPC takes 4 MB at most.
        asked = self._handle.options(method_name=method, _by_reference=method == "read")
        try:
            return (await answer_of(asked.remote(*arguments, **named)))["value"]
        except EngineError as error:
            raise _unreachable(error) from error


def _unreachable(error: EngineError) -> RetrievalUnavailable:
    return RetrievalUnavailable(f"the documents cannot be reached: {error}")


def _pieces(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        return list(iter(lambda: file.read(_PIECE_BYTES), b""))


@asynccontextmanager
async def _arrived(
    pieces: Sequence[bytes], name: str, declared: str | None
) -> AsyncGenerator[UploadedDocument, None]:
    """The document in a file of this replica, which is gone afterwards."""
    with tempfile.TemporaryFile() as file:
        await anyio.to_thread.run_sync(_write, file, pieces)
        yield UploadedDocument(path_of(file.fileno()), name, declared)


def _write(file: IO[bytes], pieces: Sequence[bytes]) -> None:
    file.writelines(pieces)
    file.flush()
