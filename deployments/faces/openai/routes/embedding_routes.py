"""OpenAI's embeddings, by the model that the documents here are found with."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from deployments.faces.forms.uploads import while_awaited
from deployments.faces.native.session_routes import Open
from deployments.faces.openai.embeddings import Embeddings
from deployments.faces.openai.routes.openai_streams import ignored_in
from deployments.web.large_bodies import BoundedRoute
from deployments.web.resource_access import Caller
from schemas.openai.embeddings_request import EmbeddingsRequest
from schemas.openai.openai_answers import EmbeddingList

router = APIRouter(prefix="/v1", tags=["openai"], route_class=BoundedRoute)


@router.post("/embeddings", response_class=JSONResponse, responses={200: {"model": EmbeddingList}})
async def embed(services: Open, caller: Caller, request: Request, wish: EmbeddingsRequest) -> Response:
    """A vector of length 1 for each text. docs/openai.md says which fields are supported."""
    ignored = ignored_in(wish, services.settings.openai)
    limits = services.settings.limits
    embeddings = Embeddings(services.library, services.names, services.allowance, limits, services.embedding)
    made = await while_awaited(request, lambda: embeddings.made(wish, caller))
    return Response(made, media_type="application/json", headers=ignored)
