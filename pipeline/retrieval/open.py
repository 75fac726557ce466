"""Builds the library that the settings ask for."""

from pathlib import Path
from typing import Final

from pipeline.retrieval.library import Library
from pipeline.retrieval.models import Models
from pipeline.retrieval.sqlite_store import SqliteStore
from schemas.retrieval import RetrievalSettings

FILE: Final = "documents.sqlite"
"""In the folder `home`, beside the embedded log."""


def open_library(settings: RetrievalSettings, home: Path) -> Library:
    """Nothing is opened, loaded or made before it is needed. Close it by `aclose`."""
    store = SqliteStore(home.expanduser() / FILE, threads=settings.threads)
    return Library(settings, store, Models(settings.threads))
