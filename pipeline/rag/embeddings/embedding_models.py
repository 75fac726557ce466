"""The embedding models by name, each loaded once, when it is first needed."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

import anyio
import anyio.to_thread
import numpy as np

from pipeline.rag.embeddings.embedder import Embedder, Vectors
from schemas.errors.retrieval_errors import RetrievalUnavailable
from schemas.settings.retrieval_settings import EmbeddingModel

_MODEL_THREADS: Final = 1
"""Of one call. More would take turns with the voice path's models."""

T = TypeVar("T")


def _wordllama() -> Embedder:
    from pipeline.rag.embeddings.wordllama import WordLlama

    return WordLlama.packaged()


def _e5() -> Embedder:
    from pipeline.rag.embeddings.e5 import E5

    return E5.packaged(_MODEL_THREADS)


PACKAGED: Final[Mapping[EmbeddingModel, Callable[[], Embedder]]] = {"e5": _e5, "wordllama": _wordllama}


class EmbeddingModels:
    """Embeds in threads, at most so many at a time; others wait."""

    def __init__(self, threads: int) -> None:
        self._limiter = anyio.CapacityLimiter(threads)
        self._loading = anyio.Lock()
        self._loaded: dict[EmbeddingModel, Embedder] = {}

    async def get(self, name: EmbeddingModel) -> Embedder:
        """The model; loads it, which takes a second, where it was not needed yet."""
        async with self._loading:
            if name not in self._loaded:
                self._loaded[name] = await self._in_thread(PACKAGED[name])
            return self._loaded[name]

    async def named(self, full_name: str) -> Embedder:
        """The model that some vectors were made by. Raises RetrievalUnavailable if it is none of ours."""
        for model in self._loaded.values():
            if model.name == full_name:
                return model
        for name in PACKAGED:
            if (model := await self.get(name)).name == full_name:
                return model
        raise RetrievalUnavailable(f"This server does not have the embedding model {full_name}.")

    async def passages(self, model: Embedder, texts: Sequence[str]) -> Vectors:
        return await self._in_thread(partial(model.passages, texts))

    async def question(self, model: Embedder, text: str) -> Vectors:
        return await self._in_thread(partial(model.question, text))

    async def alike(self, model: Embedder, texts: Sequence[str]) -> Vectors:
        """Rows that are compared with each other: all are embedded as questions, as E5's authors advise."""
        return await self._in_thread(lambda: np.concatenate([model.question(text) for text in texts]))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)
