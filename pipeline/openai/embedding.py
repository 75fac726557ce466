"""Texts to vectors for a client of OpenAI's, by the embedding model of the documents."""

import asyncio
import base64
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import orjson

from pipeline.access.allowance import Allowance
from pipeline.openai.names import Names
from pipeline.retrieval.embedding import Vectors, unit
from pipeline.retrieval.port import Librarian
from schemas.errors import InputError, InputTooLong
from schemas.limits import LimitSettings
from schemas.openai.embeddings import EmbeddingsRequest
from schemas.principals import Principal

_AT_ONCE: Final = 8
"""Texts of one call: whoever asks for documents meanwhile waits for no more of them."""
_CHARS_PER_TOKEN: Final = 4


@dataclass(frozen=True, slots=True)
class Embeddings:
    """What the face asks for."""

    library: Librarian
    names: Names
    allowance: Allowance
    limits: LimitSettings

    async def made(self, request: EmbeddingsRequest, caller: Principal) -> bytes:
        """The answer as JSON.

        Raises ModelNotFound, InputError, LimitReached or RetrievalUnavailable.
        """
        model = self.names.embedding(request.model)
        chars = sum(map(len, request.input))
        if chars > self.limits.text_chars:
            most = self.limits.text_chars
            raise InputTooLong(f"{chars} characters are too many; at most {most} are taken", field="input")
        await self.allowance.characters(caller.name, chars)
        vectors = await self._vectors(request)
        packed = request.encoding_format == "base64"
        return await asyncio.to_thread(_written, vectors, model.id, chars, packed=packed)

    async def _vectors(self, request: EmbeddingsRequest) -> Vectors:
        pieces: list[Vectors] = []
        for begin in range(0, len(request.input), _AT_ONCE):
            rows = await self.library.embed(request.input[begin : begin + _AT_ONCE])
            if (wished := request.dimensions or rows.shape[1]) > rows.shape[1]:
                raise InputError(
                    f"dimensions: the vectors of this model have {rows.shape[1]}", field="dimensions"
                )
            pieces.append(unit(rows[:, :wished]))
        return np.concatenate(pieces)


def _written(vectors: Vectors, model: str, chars: int, *, packed: bool) -> bytes:
    tokens = math.ceil(chars / _CHARS_PER_TOKEN)
    rows = [_packed(row) for row in vectors] if packed else vectors.tolist()
    data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return orjson.dumps({"object": "list", "data": data, "model": model, "usage": usage})


def _packed(row: Vectors) -> str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode()
