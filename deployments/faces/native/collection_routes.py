"""The native face, collections: `/v1/collections`, what is in them and what can be found there."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from deployments.faces.native.session_routes import Open
from deployments.web.body_limits import BoundedRoute
from deployments.web.resource_access import Caller
from pipeline.apps.collection_state import CollectionState
from schemas.errors.retrieval_errors import CollectionNotFound
from schemas.ids import parse_session_id
from schemas.native.document_messages import (
    CollectionInfo,
    CollectionList,
    CreateCollection,
    FoundPassages,
    RenameCollection,
    SearchCollection,
)
from schemas.settings.retrieval_settings import CollectionId, SearchToolConfig

router = APIRouter(prefix="/v1/collections", tags=["collections"], route_class=BoundedRoute)


async def known_collection(services: Open, collection_id: str) -> CollectionId:
    """The path's collection. Raises CollectionNotFound for what is none."""
    if parse_session_id(collection_id) is None:
        raise CollectionNotFound(f"there is no collection {collection_id[:80]}", field="collection_id")
    await services.collections.state(CollectionId(collection_id))
    return CollectionId(collection_id)


Known = Annotated[CollectionId, Depends(known_collection)]


@router.post("", status_code=201)
async def create_collection(
    services: Open, caller: Caller, response: Response, params: CreateCollection
) -> CollectionInfo:
    """An empty collection. Its id is that of a session, whose events tell of its documents."""
    collection = await services.collections.create(params.name, caller.name, params.thread)
    response.headers["Location"] = f"/v1/collections/{collection}"
    return _info(collection, await services.collections.state(collection))


@router.get("")
async def list_collections(
    services: Open,
    caller: Caller,
    before: Annotated[str | None, Query(max_length=80)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> CollectionList:
    """The caller's own, newest first. A new one is listed a moment after its creation."""
    found, following = await services.collections.owned_by(caller.name, before=before, limit=limit)
    return CollectionList(
        collections=tuple(_info(collection, state) for collection, state in found.items()), next=following
    )


@router.get("/{collection_id}")
async def get_collection(services: Open, collection: Known) -> CollectionInfo:
    return _info(collection, await services.collections.state(collection))


@router.patch("/{collection_id}")
async def rename_collection(services: Open, collection: Known, params: RenameCollection) -> CollectionInfo:
    return _info(collection, await services.collections.rename(collection, params.name))


@router.delete("/{collection_id}", status_code=204)
async def delete_collection(services: Open, collection: Known) -> None:
    """Erase the collection with all its documents and its events."""
    await services.collections.delete(collection)


@router.post("/{collection_id}/search")
async def search_collection(
    services: Open, caller: Caller, collection: Known, params: SearchCollection
) -> FoundPassages:
    """The passages that answer a question best, best first. Nothing found is no error."""
    await services.allowance.search(caller.name)
    config = SearchToolConfig(strategy=params.strategy, top_k=params.top_k)
    return FoundPassages(passages=tuple(await services.collections.find(collection, params.question, config)))


def _info(collection: CollectionId, state: CollectionState) -> CollectionInfo:
    documents = state.documents.values()
    return CollectionInfo(
        id=collection,
        name=state.name,
        thread=state.thread,
        created_ms=state.created_ms,
        documents=sum(one.view is not None for one in documents),
        unfinished=sum(one.unfinished for one in documents),
        bytes=state.bytes,
    )
