"""Documents that this process has added: each in a task of its own, told in its collection's session."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from weakref import WeakValueDictionary

import anyio
from anyio.abc import TaskGroup

from pipeline.apps.collection_state import CollectionState
from pipeline.core.clock import Clock
from pipeline.core.fair_slots import FairPlaces
from pipeline.core.task_scope import TaskScope
from pipeline.core.texts import internal_key
from pipeline.eventlog.recorder import Recorder
from pipeline.rag.reading.document_reader import UploadedDocument
from pipeline.rag.retrieval_service import RetrievalService
from pipeline.session_state.session_views import Views
from pipeline.stt.inputs.input_leases import InputLease, InputLeases
from schemas.errors import GatewayBusy, RhapsodeError, SessionAlreadyEnded, SessionGone, SessionNotFound
from schemas.errors.access_errors import UploadLimit
from schemas.errors.retrieval_errors import CollectionNotFound, DocumentBusy, DocumentInterrupted
from schemas.events import Event
from schemas.events.document_events import DocumentAdded, DocumentFailed, DocumentProgressed
from schemas.ids import Seq, SessionId
from schemas.settings.retrieval_settings import (
    CollectionId,
    DocumentId,
    DocumentProgress,
    DocumentView,
    RetrievalSettings,
)

log = logging.getLogger(__name__)

_BEATS: Final = 4
"""A process is dead when it has said nothing for so many of its heartbeats."""
_STEP: Final = 0.1
"""Progress is told when so much more is done, or something else is being done."""
_LAST_WORDS_S: Final = 2.0
_AT_ONCE: Final = 16
_RETRY_S: Final = 5.0
_INTERRUPTED: Final = DocumentInterrupted("the server stopped while it was adding the document")
_ALL: Final = ""
"""Stands for all documents of a collection that is deleted while the library cannot be reached."""
_UNEXPECTED: Final = RhapsodeError("the document could not be added")


class NewUpload:
    """A received file on its way into a collection. Its maker closes it, until an ingest job has it."""

    def __init__(
        self,
        file: IO[bytes],
        path: Path,
        *,
        name: str,
        declared: str | None,
        size: int,
        principal: str = "",
    ) -> None:
        self.file = file
        self.upload = UploadedDocument(path, name, declared)
        self.size = size
        self.principal = principal
        """User that sent the document."""


@dataclass(frozen=True, slots=True)
class CollectionServices:
    """Ports to the collections: the documents, and their events."""

    retrieval: RetrievalService
    views: Views[CollectionState]
    recorder: Recorder


class LaterDrops:
    """Collections that were deleted while the library could not be reached: it still has their documents."""

    def __init__(self, retrieval: RetrievalService, held: InputLeases, lease_ms: int) -> None:
        self._retrieval = retrieval
        self._held = held
        self._lease_ms = lease_ms

    async def add(self, collection: CollectionId) -> None:
        """Some process erases its documents once it is deleted and the library can be reached."""
        await self._held.hold([InputLease(SessionId(collection), _ALL)], self._lease_ms)

    async def carry_out(self) -> None:
        """Erase them now. Raises RetrievalUnavailable, where the rest stays for later."""
        for held in await self._held.all():
            if held.input == _ALL:
                await self._retrieval.drop(CollectionId(held.session))
                await self._held.let_go(held)


class IngestJobs(TaskScope):
    """An async context manager that gives up what is not done at its end, and says so."""

    def __init__(
        self, services: CollectionServices, held: InputLeases, clock: Clock, settings: RetrievalSettings
    ) -> None:
        super().__init__()
        self._retrieval = services.retrieval
        self._views = services.views
        self._recorder = services.recorder
        self._held = held
        self._clock = clock
        self._settings = settings
        self._every_s = settings.interrupted_s / _BEATS
        self._lease_ms = int(settings.interrupted_s * 1_000)
        self.later_drops = LaterDrops(services.retrieval, held, self._lease_ms)
        self._arriving: Counter[str] = Counter()
        self._sent: Counter[str] = Counter()
        """How many documents of each principal arrive here, and are being added."""
        self.turns = FairPlaces(settings.readers + 1)
        """One is read while another is embedded; who sends many waits for those who send one."""
        self._alone: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()
        """By principal, each of whom has one of these places: two long documents take half an hour."""
        self._ours: Counter[InputLease] = Counter()
        """The last words of one addition may be said while the next one of the same document begins."""

    def _begin(self, tasks: TaskGroup) -> None:
        tasks.start_soon(self._look_after)

    @property
    def in_hand(self) -> int:
        """Documents that arrive here or are being added."""
        return self._arriving.total() + self._ours.total()

    def adds(self, collection: CollectionId, document: DocumentId) -> bool:
        """This process does, or has not noticed yet that it was removed."""
        return InputLease(SessionId(collection), document) in self._ours

    @contextmanager
    def place(self, principal: str) -> Iterator[None]:
        """Room for a document that arrives. Raises GatewayBusy or UploadLimit."""
        if self.in_hand >= self._settings.uploads:
            raise GatewayBusy(
                "as many documents as can be are being added here; try again", retry_after_s=_RETRY_S
            )
        most = self._settings.uploads_each
        if principal and self._arriving[principal] + self._sent[principal] >= most:
            raise UploadLimit(
                f"at most {most} documents of one principal are added at a time", retry_after_s=_RETRY_S
            )
        self._arriving[principal] += 1
        try:
            yield
        finally:
            self._arriving -= Counter({principal: 1})

    async def begin(self, collection: CollectionId, document: DocumentId, new: NewUpload) -> Seq:
        """The place of the first event about it; the rest happens whether anybody waits or not.

        Raises DocumentBusy if another process was the first to begin with it, and what `Recorder.post` raises
        where the principal may write no more into the log.
        """
        held = InputLease(SessionId(collection), document)
        self._ours[held] += 1
        self._sent[new.principal] += 1
        try:
            began = await self._first_word(held, document, new)
        except BaseException:
            self._release(held, new)
            raise
        self.spawn(self._run, held, document, new, began)
        return began

    async def _first_word(self, held: InputLease, document: DocumentId, new: NewUpload) -> Seq:
        await self._held.hold([held], self._lease_ms)
        first = _progressed(document, new, "waiting", 0.0)
        began = (await self._recorder.post(held.session, first, by=new.principal)).last
        known = (await self._views.get(held.session))[0].documents.get(document)
        if known is not None and known.began != began:
            raise busy(document)
        return began

    async def _run(self, held: InputLease, document: DocumentId, new: NewUpload, began: Seq) -> None:
        outcome: Event | None = None
        try:
            alone = self._alone.setdefault(new.principal or held.input, anyio.Lock())
            async with alone, self.turns.place(new.principal):
                outcome = await self._add(held, document, new, began)
        except RhapsodeError as error:
            outcome = _failed(document, error)
        except Exception:  # all documents of this process hang on the task group that this runs in
            log.exception("collection %s: document %s could not be added", *held)
            outcome = _failed(document, _UNEXPECTED)
        except BaseException:
            outcome = _failed(document, _INTERRUPTED)
            raise
        finally:
            with anyio.move_on_after(_LAST_WORDS_S, shield=True):
                await anyio.to_thread.run_sync(new.file.close)
                await self._record_outcome(held, outcome)
            self._release(held, new)

    def _release(self, held: InputLease, new: NewUpload) -> None:
        self._sent -= Counter({new.principal: 1})
        self._ours[held] -= 1
        if not self._ours[held]:
            del self._ours[held]

    async def _add(
        self, held: InputLease, document: DocumentId, new: NewUpload, began: Seq
    ) -> DocumentAdded | None:
        """Event that ends the job. None: the document was removed meanwhile."""
        collection = CollectionId(held.session)
        name = (await self._views.get(held.session))[0].name
        await self._retrieval.create(name, collection)  # if whoever made the collection did not get so far
        view: DocumentView | None = None
        reported = 0.0
        async with aclosing(self._retrieval.add(collection, document, new.upload)) as steps:
            state = "waiting"
            async for step in steps:
                view = step.view
                if step.state == "ready" or (step.state == state and step.done < reported + _STEP):
                    continue
                state, reported = step.state, step.done
                await self._recorder.post(held.session, _step(step, new))
                if await self._removed(held, document, began):
                    return None
        if await self._removed(held, document, began):
            await self._retrieval.remove(collection, document)
            return None
        assert view is not None
        return DocumentAdded(view=view)

    async def _removed(self, held: InputLease, document: DocumentId, began: Seq) -> bool:
        """True if the document was removed since."""
        state, _ = await self._views.get(held.session)
        return state.removed.get(document, began) > began

    async def _record_outcome(self, held: InputLease, outcome: Event | None) -> None:
        """If that fails, another process finds the document that this one left."""
        try:
            if outcome is not None:
                await self._recorder.post(held.session, outcome)
            if self._ours[held] == 1:  # else it has begun once more
                await self._held.let_go(held)
        except (SessionGone, SessionAlreadyEnded) as error:
            await self._forget(held, error)
        except RhapsodeError as error:
            log.info("collection %s: the end of document %s is not told: %s", *held, error)

    async def _forget(self, held: InputLease, error: RhapsodeError) -> None:
        """Its collection was deleted meanwhile, so that nobody else would ever remove the document."""
        log.info("collection %s: document %s has no collection: %s", *held, error)
        try:
            await self._retrieval.drop(CollectionId(held.session))
            await self._held.let_go(held)
        except RhapsodeError as failure:  # tried again by whoever finds it left by us
            log.warning("collection %s: document %s is still there: %s", *held, failure)

    async def _look_after(self) -> None:
        """For ever: keep this process's documents its own, and tell of those that the dead have left."""
        while True:
            try:
                await self._held.hold(list(self._ours), self._lease_ms)
                for held in await self._held.left(_AT_ONCE, self._lease_ms):
                    if held not in self._ours:
                        await self._settle(held)
            except RhapsodeError as error:
                log.info("documents that are being added could not be looked after: %s", error)
            except Exception:  # all documents of this process hang on the task group that this runs in
                log.exception("documents that are being added could not be looked after")
            await self._clock.sleep(self._every_s)

    async def _settle(self, held: InputLease) -> None:
        """A job that cannot be settled now is tried again; one that never can be blocks no other."""
        try:
            await self._tell_for(held)
        except RhapsodeError as error:
            log.warning("collection %s: it is not known what became of document %s: %s", *held, error)
            if error.retryable:
                return
        await self._held.let_go(held)

    async def _tell_for(self, held: InputLease) -> None:
        """Say what became of a document whose process died: it may have got as far as the store."""
        collection, document = CollectionId(held.session), DocumentId(held.input)
        try:
            state, _ = await self._views.get(held.session)
            known = state.documents.get(document)
            if known is not None and known.unfinished and not state.over:
                there = await _stored(self._retrieval, collection, document)
                arrived = there is not None and there != known.view
                event = DocumentAdded(view=there) if there and arrived else _failed(document, _INTERRUPTED)
                key = internal_key("interrupted", collection, document, known.began)
                await self._recorder.post(held.session, event, key=key)
        except (SessionGone, SessionAlreadyEnded, SessionNotFound) as error:
            log.info("collection %s: document %s has no collection: %s", *held, error)
            if held.input == _ALL or not isinstance(error, SessionNotFound):
                await self._retrieval.drop(collection)


async def _stored(
    retrieval: RetrievalService, collection: CollectionId, document: DocumentId
) -> DocumentView | None:
    """The document as the store holds it."""
    try:
        views = await retrieval.views(collection)
    except CollectionNotFound:
        return None
    return next((view for view in views if view.id == document), None)


def busy(document: DocumentId) -> DocumentBusy:
    message = f"document {document} is being added; wait for the end of that, or remove it"
    return DocumentBusy(message, field="document_id")


def _step(step: DocumentProgress, new: NewUpload) -> DocumentProgressed:
    state = "embedding" if step.state in ("ready", "failed") else step.state
    return _progressed(step.document, new, state, step.done)


def _progressed(document: DocumentId, new: NewUpload, state: str, done: float) -> DocumentProgressed:
    return DocumentProgressed.model_validate(
        {"document": document, "name": new.upload.name, "state": state, "done": done, "bytes": new.size}
    )


def _failed(document: DocumentId, error: RhapsodeError) -> DocumentFailed:
    return DocumentFailed(document=document, code=error.code, message=str(error))
