"""OpenAI's embeddings, by the model that the documents here are found with."""

import asyncio
import base64
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import orjson
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from deployments.faces.forms.uploads import while_awaited
from deployments.faces.native.session_routes import Open
from deployments.faces.openai.routes.openai_streams import ignored_in
from deployments.model_names import Names
from deployments.web.body_limits import BoundedRoute
from deployments.web.resource_access import Caller
from pipeline.admission.allowance import Allowance
from pipeline.auth.principals import Principal
from pipeline.core.fair_slots import FairPlaces
from pipeline.rag.embeddings.embedder import Vectors, unit
from pipeline.rag.retrieval_service import RetrievalService
from schemas.errors import InputError, InputTooLong
from schemas.openai.embeddings_request import EmbeddingsRequest
from schemas.openai.openai_answers import EmbeddingList
from schemas.settings.limit_settings import LimitSettings

_AT_ONCE: Final = 8
_AT_ONCE_CHARS: Final = 4_000
"""Texts of one call, and their characters unless it is one text: a search meanwhile waits for no more."""
_WAIT_S: Final = 20.0
"""So long a request waits for its next turn among principals before it is refused."""
_BUSY: Final = "other texts are being embedded here; try again"
_CHARS_PER_TOKEN: Final = 4


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Requests of the face."""

    library: RetrievalService
    names: Names
    allowance: Allowance
    limits: LimitSettings
    turns: FairPlaces
    """One call at a time from this gateway: principals alternate call by call."""

    async def made(self, request: EmbeddingsRequest, caller: Principal) -> bytes:
        """The answer as JSON.

        Raises ModelNotFound, InputError, LimitReached, GatewayBusy or RetrievalUnavailable.
        """
        model = self.names.embedding(request.model)
        chars = sum(map(len, request.input))
        if chars > self.limits.text_chars:
            most = self.limits.text_chars
            raise InputTooLong(f"{chars} characters are too many; at most {most} are taken", field="input")
        await self.allowance.characters(caller.name, chars)
        vectors = await self._vectors(request, caller.name)
        packed = request.encoding_format == "base64"
        return await asyncio.to_thread(_written, vectors, model.id, chars, packed=packed)

    async def _vectors(self, request: EmbeddingsRequest, principal: str) -> Vectors:
        made: list[Vectors] = []
        for texts in _pieces(request.input):
            async with self.turns.soon(principal, wait_s=_WAIT_S, busy=_BUSY):
                rows = await self.library.embed(texts)
            if (requested := request.dimensions or rows.shape[1]) > rows.shape[1]:
                raise InputError(
                    f"dimensions: the vectors of this model have {rows.shape[1]}", field="dimensions"
                )
            made.append(unit(rows[:, :requested]))
        return np.concatenate(made)


def _pieces(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in order, in groups for one call each."""
    begin = chars = 0
    for end, text in enumerate(texts):
        if end > begin and (end - begin == _AT_ONCE or chars + len(text) > _AT_ONCE_CHARS):
            yield texts[begin:end]
            begin, chars = end, 0
        chars += len(text)
    yield texts[begin:]


def _written(vectors: Vectors, model: str, chars: int, *, packed: bool) -> bytes:
    tokens = math.ceil(chars / _CHARS_PER_TOKEN)
    rows = [_packed(row) for row in vectors] if packed else vectors.tolist()
    data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return orjson.dumps({"object": "list", "data": data, "model": model, "usage": usage})


def _packed(row: Vectors) -> str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode()


router = APIRouter(prefix="/v1", tags=["openai"], route_class=BoundedRoute)


@router.post("/embeddings", response_class=JSONResponse, responses={200: {"model": EmbeddingList}})
async def embed(services: Open, caller: Caller, request: Request, params: EmbeddingsRequest) -> Response:
    """A vector of length 1 for each text. docs/openai.md says which fields are supported."""
    ignored = ignored_in(params, services.settings.openai)
    limits = services.settings.limits
    embeddings = Embeddings(services.library, services.names, services.allowance, limits, services.embedding)
    made = await while_awaited(request, lambda: embeddings.made(params, caller))
    return Response(made, media_type="application/json", headers=ignored)
