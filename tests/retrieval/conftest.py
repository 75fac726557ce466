"""Files to read, and a library with everything in it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.rag.reading.document_reader import Upload

Uploaded = Callable[[str, bytes], Upload]


@pytest.fixture
def uploaded(tmp_path: Path) -> Uploaded:
    """Puts bytes where uploads are put; the name is only what the sender calls them."""

    def upload(name: str, data: bytes) -> Upload:
        path = tmp_path / "upload"
        path.write_bytes(data)
        return Upload(path, name)

    return upload
