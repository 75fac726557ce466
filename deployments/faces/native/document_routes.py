"""The native face, documents: uploads with their progress, lists, and texts to open a passage in."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from deployments.faces.forms.form_files import file_form, received
from deployments.faces.native.collection_routes import Known
from deployments.faces.native.event_feed import Feed
from deployments.faces.native.event_routes import event_bytes, named
from deployments.faces.native.session_routes import Open
from deployments.web import problem_details
from deployments.web.resource_access import Caller
from deployments.web.sse_format import HEADERS
from pipeline.apps.collection_state import KnownDocument
from pipeline.apps.collections import ENDS, document_of, ended, known_document
from pipeline.delivery.listener import Listening
from schemas.errors import InputError, RhapsodeError
from schemas.errors.retrieval_errors import BY_CODE, DocumentError, DocumentNotFound
from schemas.ids import Seq, SessionId, new_id
from schemas.native.document_messages import DocumentInfo, DocumentList, Excerpt
from schemas.settings.retrieval_settings import CollectionId, DocumentId, DocumentView

router = APIRouter(prefix="/v1/collections/{collection_id}/documents", tags=["documents"])

PATH: Final = re.compile(r"/v1/collections/[^/]+/documents")
"""Takes bodies of any size: it has a limit of its own, and holds them on disk."""
_LONGEST: Final = 20_000
_SSE: Final = "text/event-stream"
_FORM: Final = file_form(
    document_id={"type": "string", "description": "Replaces the document of this id."},
    name={"type": "string", "maxLength": 300, "description": "The file's name."},
)


async def known_id(document_id: str) -> DocumentId:
    """Raises DocumentNotFound for what cannot be one."""
    try:
        return known_document(document_id)
    except InputError as error:
        raise DocumentNotFound(f"there is no document {document_id[:80]}", field="document_id") from error


Document = Annotated[DocumentId, Depends(known_id)]


@router.post(
    "",
    status_code=201,
    response_model=DocumentView,
    openapi_extra=_FORM,
    responses={200: {"content": {_SSE: {"schema": {"type": "string"}}}}},
)
async def add_document(
    services: Open, caller: Caller, collection: Known, request: Request, response: Response
) -> DocumentView | StreamingResponse:
    """Add a PDF, DOCX, HTML, Markdown or text file; answers when it can be found.

    With `Accept: text/event-stream` the answer is the events about it, from the first to the last, as the
    collection's events have them. A document that has arrived is added also if its sender leaves.
    """
    collections = services.collections
    limit = services.settings.retrieval.limits.bytes
    with collections.additions.place(caller.name), services.arriving.file(caller.name) as arrival:
        params, new = await received(request, limit, arrival, caller.name)
        try:
            document = (
                DocumentId(new_id()) if params.document_id is None else known_document(params.document_id)
            )
            began = await collections.begin(collection, document, new)
        except BaseException:
            new.file.close()
            raise
    if _SSE in request.headers.get("accept", ""):
        feed = await _feed(services, caller, collection, began)
        return StreamingResponse(_stream(feed, document), media_type=_SSE, headers=HEADERS)
    view = await _added(services, collection, document, began)
    response.headers["Location"] = f"/v1/collections/{collection}/documents/{document}"
    return view


async def _added(services: Open, collection: CollectionId, document: DocumentId, began: Seq) -> DocumentView:
    """Raises why it could not be."""
    last = await ended(services.collections.progress(collection, document, began))
    if last is None or last.type == "document.removed":
        raise DocumentNotFound("the document was removed while it was being added", field="document_id")
    if last.type == "document.failed":
        kind = BY_CODE.get(last.data["code"], RhapsodeError)
        raise kind(last.data["message"], field="file" if issubclass(kind, DocumentError) else None)
    return DocumentView.model_validate(last.data["view"], extra="ignore")


async def _feed(services: Open, caller: Caller, collection: CollectionId, began: Seq) -> Feed:
    session = SessionId(collection)
    _, head = await services.sessions.view(session)
    limits = services.settings.limits
    params = Listening(after=Seq(began - 1), buffer=limits.listener_buffer, idle_s=limits.heartbeat_s)
    return Feed(services, caller, session, head, params, None)


async def _stream(feed: Feed, document: DocumentId) -> AsyncGenerator[bytes, None]:
    generation, ended_by = feed.hello.generation, "removed"
    yield named("hello", feed.hello.model_dump(exclude={"type"}))
    try:
        async with aclosing(feed.frames()) as frames:
            async for frame in frames:
                if frame is None:
                    yield named("heartbeat", feed.heartbeat.model_dump(exclude={"type"}))
                elif document_of(frame[0]) == document:
                    yield event_bytes(generation, frame[0].seq, frame[1])
                    if frame[0].type in ENDS:
                        ended_by = frame[0].type.removeprefix("document.")
                        break
    except RhapsodeError as error:
        yield named("error", problem_details.error_frame(error).model_dump(exclude={"type", "ref"}))
        return
    yield named("end", {"reason": ended_by, "seq": feed.last})


@router.get("")
async def list_documents(services: Open, collection: Known) -> DocumentList:
    """In the order in which they came, with those that are being added and those that could not be."""
    return DocumentList(documents=tuple(map(_info, await services.collections.documents(collection))))


@router.get("/{document_id}")
async def get_document(services: Open, collection: Known, document: Document) -> DocumentInfo:
    return _info(await services.collections.document(collection, document))


@router.delete("/{document_id}", status_code=204)
async def remove_document(services: Open, collection: Known, document: Document) -> None:
    """Forget a document; one that is being added will not be."""
    await services.collections.remove(collection, document)


@router.get("/{document_id}/text")
async def get_text(
    services: Open,
    collection: Known,
    document: Document,
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    end: Annotated[int | None, Query(ge=1, le=10_000_000)] = None,
    context: Annotated[int, Query(ge=0, le=_LONGEST)] = 1_000,
) -> Excerpt:
    """A passage in its surroundings: characters `start` to `end`, and `context` more on either side.

    At most 20,000 characters of them; without `end` as many as there may be.
    """
    if end is not None and end <= start:
        raise InputError("end must be after start", field="end")
    end = start + _LONGEST if end is None else min(end, start + _LONGEST)
    view, piece = await services.collections.text(
        collection, document, start - context, end + context, about=start
    )
    return Excerpt(
        document=document,
        title=view.title,
        name=view.name,
        page=piece.page,
        headings=piece.headings,
        start=start,
        end=min(end, piece.characters),
        at=piece.at,
        text=piece.text,
        characters=piece.characters,
    )


def _info(known: KnownDocument) -> DocumentInfo:
    return DocumentInfo(
        id=known.id,
        name=known.name,
        state=known.state,
        done=known.done,
        bytes=known.bytes or known.kept_bytes,
        view=known.view,
        code=known.code,
        message=known.message,
    )
