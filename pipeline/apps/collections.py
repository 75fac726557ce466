"""Collections of documents: sessions that say what is in them, and the retrieval service that keeps it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Final

from pipeline.apps.collection_state import CollectionState, KnownDocument
from pipeline.apps.ingest_jobs import CollectionServices, IngestJobs, NewUpload, busy
from pipeline.background.session_directory import Directory
from pipeline.eventlog.tailer import Tailer
from pipeline.rag.reading.document_reader import UploadedDocument
from pipeline.rag.reading.extracted_text import ExtractedText
from pipeline.rag.retrieval_service import TextPiece
from pipeline.sessions.session_commands import Sessions
from schemas.errors import InputError, SessionGone, SessionNotFound
from schemas.errors.retrieval_errors import (
    BytesQuota,
    CollectionNotFound,
    CollectionQuota,
    DocumentNotFound,
    DocumentQuota,
    RetrievalUnavailable,
)
from schemas.events import Event
from schemas.events.document_events import DocumentAdded, DocumentRemoved
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, parse_session_id
from schemas.native.client_commands import CreateSession
from schemas.settings.retrieval_settings import (
    CollectionId,
    DocumentId,
    DocumentView,
    Passage,
    Quotas,
    SearchToolConfig,
)

_PAGE: Final = 100
ENDS: Final = frozenset({"document.added", "document.failed", "document.removed"})
"""Events with which an ingest job ends."""


class Collections:
    """Operations on collections that a face may ask for. Access was checked before."""

    def __init__(
        self,
        services: CollectionServices,
        sessions: Sessions,
        tailer: Tailer,
        directory: Directory,
        additions: IngestJobs,
        quotas: Quotas,
    ) -> None:
        self._views = services.views
        self._recorder = services.recorder
        self._retrieval = services.retrieval
        self._sessions = sessions
        self._tailer = tailer
        self._directory = directory
        self.additions = additions
        self._quotas = quotas

    async def create(self, name: str, principal: str, thread: str | None = None) -> CollectionId:
        """`thread`: id of a thread of theirs, whose files the collection is for.

        Raises CollectionQuota, SessionNotFound where they have no such thread, or as `Sessions.create`.
        """
        parent = None if thread is None else await self._thread(thread, principal)
        await self._leave_room(principal)
        session, *_ = await self._sessions.create(
            CreateSession(title=name), kind="collection", principal=principal, parent=parent
        )
        collection = CollectionId(session)
        try:
            await self._retrieval.create(name, collection)
        except BaseException:
            await self._sessions.delete(session)
            raise
        return collection

    async def _thread(self, thread: str, principal: str) -> SessionId:
        missing = SessionNotFound(f"you have no thread {thread!r}", field="thread")
        if (session := parse_session_id(thread)) is None:
            raise missing
        try:
            conversation, _ = await self._sessions.view(session)
        except (SessionNotFound, SessionGone) as error:
            raise missing from error
        if conversation.kind != "thread" or conversation.principal != principal or conversation.ended:
            raise missing
        return session

    async def _leave_room(self, principal: str) -> None:
        there, before = 0, None
        while there < self._quotas.collections:
            page = await self._directory.list(principal, kinds=("collection",), before=before, limit=_PAGE)
            there, before = there + len(page.sessions), page.next
            if before is None:
                break
        if there >= self._quotas.collections:
            raise CollectionQuota(f"you have {there} collections; more are not allowed")

    async def owned_by(
        self, principal: str, *, before: str | None, limit: int
    ) -> tuple[dict[CollectionId, CollectionState], str | None]:
        """The principal's own, newest first, and the `before` of the page that follows.

        A new one is listed a moment after its creation.
        """
        page = await self._directory.list(principal, kinds=("collection",), before=before, limit=limit)
        found: dict[CollectionId, CollectionState] = {}
        for listed in page.sessions:
            collection = CollectionId(listed.session_id)
            with suppress(CollectionNotFound):  # deleted just now
                found[collection] = await self.state(collection)
        return found, page.next

    async def state(self, collection: CollectionId) -> CollectionState:
        """Read it, don't keep it. Raises CollectionNotFound, also for a session that is none."""
        missing = CollectionNotFound(f"there is no collection {collection}", field="collection_id")
        try:
            state, _ = await self._views.get(SessionId(collection))
        except (SessionNotFound, SessionGone) as error:
            raise missing from error
        if state.kind != "collection" or state.over:
            raise missing
        return state

    async def rename(self, collection: CollectionId, name: str) -> CollectionState:
        await self.state(collection)
        await self._sessions.rename(SessionId(collection), name)
        return await self.state(collection)

    async def delete(self, collection: CollectionId) -> None:
        """Erase the collection, everything in it, and its events. Where that fails it can be tried again.

        Documents that were added until its session was over are looked for once more; the process that adds
        one later removes it.
        """
        await self._retrieval.drop(collection)
        try:
            with suppress(SessionGone, SessionNotFound):
                await self._sessions.delete(SessionId(collection))
            await self._retrieval.drop(collection)
        finally:
            self._views.forget(SessionId(collection))

    async def begin(self, collection: CollectionId, document: DocumentId, new: NewUpload) -> Seq:
        """Have a received document added; the place of the first event about it.

        `new` is the addition's from here on, unless this raises: DocumentBusy, DocumentQuota,
        BytesQuota.
        """
        state = await self.state(collection)
        others = [one for one in state.documents.values() if one.id != document]
        if len([one for one in others if one.unfinished or one.view]) >= self._quotas.documents:
            raise DocumentQuota(
                f"the collection has {self._quotas.documents} documents; more are not allowed"
            )
        before = state.documents.get(document)
        if before.unfinished if before else self.additions.adds(collection, document):
            raise busy(document)
        if state.bytes - (before.kept_bytes if before else 0) + new.size > self._quotas.bytes:
            raise BytesQuota(f"the documents of a collection may have {self._quotas.bytes} bytes together")
        return await self.additions.begin(collection, document, new)

    async def progress(
        self, collection: CollectionId, document: DocumentId, began: Seq
    ) -> AsyncGenerator[Recorded, None]:
        """Events about a document, from its beginning to the one that ends its adding."""
        async with self._tailer.follow(SessionId(collection), Seq(began - 1)) as batches:
            async for batch in batches:
                for recorded in batch:
                    if document_of(recorded) != document:
                        continue
                    yield recorded
                    if recorded.type in ENDS:
                        return

    async def documents(self, collection: CollectionId) -> list[KnownDocument]:
        """In the order in which they came. Differences between the log and the store are repaired."""
        with suppress(RetrievalUnavailable):  # then by what the log says
            await self._put_right(collection)
        return list((await self.state(collection)).documents.values())

    async def document(self, collection: CollectionId, document: DocumentId) -> KnownDocument:
        """Raises DocumentNotFound."""
        known = (await self.state(collection)).documents.get(document)
        if known is None:
            raise _missing(document)
        return known

    async def _put_right(self, collection: CollectionId) -> None:
        """A process may have died, or a store been lost, between a change and the event about it."""
        state = await self.state(collection)
        known = {one.id: one for one in state.documents.values()}
        try:
            there = {view.id: view for view in await self._retrieval.views(collection)}
        except CollectionNotFound:
            await self._retrieval.create(state.name, collection)
            there = {}
        events: list[Event] = [
            DocumentAdded(view=view) for view in there.values() if _is_news(view, known.get(view.id))
        ]
        events += [
            DocumentRemoved(document=one.id)
            for one in known.values()
            if one.view is not None and not one.unfinished and one.id not in there
        ]
        if events:
            await self._recorder.post(SessionId(collection), *events)

    async def remove(self, collection: CollectionId, document: DocumentId) -> None:
        """Raises DocumentNotFound."""
        await self.document(collection, document)
        with suppress(CollectionNotFound):  # a store that was lost
            await self._retrieval.remove(collection, document)
        await self._recorder.post(SessionId(collection), DocumentRemoved(document=document))

    async def text(
        self, collection: CollectionId, document: DocumentId, start: int, end: int, *, about: int
    ) -> tuple[DocumentView, TextPiece]:
        """Raises DocumentNotFound, also for one that is not ready yet, and InputError."""
        view = (await self.document(collection, document)).view
        if view is None:
            raise _missing(document)
        if about >= view.characters:
            raise InputError(f"the document has {view.characters} characters", field="start")
        return view, await self._retrieval.text(collection, document, start, end, about=about)

    async def read(self, upload: UploadedDocument, principal: str) -> ExtractedText:
        """The text of a document that is not kept; read in its turn. Raises a DocumentError."""
        async with self.additions.turns.place(principal):
            return await self._retrieval.read(upload)

    async def find(self, collection: CollectionId, question: str, config: SearchToolConfig) -> list[Passage]:
        await self.state(collection)
        return await self._retrieval.find(question, [collection], config)


def document_of(recorded: Recorded) -> str | None:
    """The document that an event is about."""
    if recorded.type == "document.added":
        return str(recorded.data["view"]["id"])
    return str(recorded.data["document"]) if recorded.type.startswith("document.") else None


def known_document(text: str) -> DocumentId:
    """A document's id as a client gave it. Raises InputError."""
    if parse_session_id(text) is None:
        raise InputError(f"{text[:80]!r} is no UUIDv7", field="document_id")
    return DocumentId(text)


def _is_news(view: DocumentView, known: KnownDocument | None) -> bool:
    return known is None or (not known.unfinished and known.view != view)


def _missing(document: DocumentId) -> DocumentNotFound:
    return DocumentNotFound(f"there is no document {document}", field="document_id")


async def ended(events: AsyncGenerator[Recorded, None]) -> Recorded | None:
    """The last of a document's events; None: its collection was deleted."""
    last = None
    async with aclosing(events):
        async for recorded in events:
            last = recorded
    return last if last is not None and last.type in ENDS else None
