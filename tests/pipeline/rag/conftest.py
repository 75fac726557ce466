"""Files to read, and a library with everything in it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.rag.reading.document_reader import UploadedDocument

Uploaded = Callable[[str, bytes], UploadedDocument]


@pytest.fixture
def uploaded(tmp_path: Path) -> Uploaded:
    """Puts bytes where uploads are put; the name is only what the sender calls them."""

    def upload(name: str, data: bytes) -> UploadedDocument:
        path = tmp_path / "upload"
        path.write_bytes(data)
        return UploadedDocument(path, name)

    return upload
