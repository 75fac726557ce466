"""Librarians in this process and behind a handle of Serve."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from ray import serve

from deployments.replicas.retrieval import RemoteRetrieval, RetrievalReplica
from pipeline.rag.document_library import open_library
from pipeline.rag.retrieval_service import RetrievalService
from schemas.settings.retrieval_settings import RetrievalSettings
from tests.contracts.retrieval_service import LibrarianContract

pytestmark = pytest.mark.weights
QUICK = RetrievalSettings(embedding="wordllama", judge=None)


class TestLibrary(LibrarianContract):
    @pytest.fixture
    async def retrieval(self, tmp_path: Path) -> AsyncGenerator[RetrievalService, None]:
        library = open_library(QUICK, tmp_path)
        yield library
        await library.aclose()


class TestRemoteLibrarian(LibrarianContract):
    @pytest.fixture
    def retrieval(self, tmp_path: Path, request: pytest.FixtureRequest) -> RetrievalService:
        deployment = serve.deployment(name="Librarian")(RetrievalReplica)
        name = request.node.name
        return RemoteRetrieval(
            serve.run(deployment.bind(QUICK, tmp_path), name=name, _local_testing_mode=True)
        )
