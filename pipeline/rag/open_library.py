"""Builds the library that the settings ask for."""

from pathlib import Path
from typing import Final

from pipeline.rag.document_library import Library
from pipeline.rag.embeddings.embedding_models import EmbeddingModels
from pipeline.rag.store.passage_store import PassageStore
from pipeline.rag.store.sqlite_store import SqliteStore
from schemas.settings.retrieval_settings import RetrievalSettings

FILE: Final = "documents.sqlite"
"""In the folder `home`, beside the embedded log."""


def open_library(settings: RetrievalSettings, home: Path) -> Library:
    """Nothing is opened, loaded or made before it is needed. Close it by `aclose`."""
    return Library(settings, _store(settings, home), EmbeddingModels(settings.threads))


def _store(settings: RetrievalSettings, home: Path) -> PassageStore:
    if settings.store is None:
        return SqliteStore(home.expanduser() / FILE, threads=settings.threads)
    from pipeline.rag.store.postgres_store import PostgresStore

    return PostgresStore(settings.store.get_secret_value(), connections=settings.threads)
