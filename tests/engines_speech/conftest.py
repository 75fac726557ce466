"""These tests need an environment that takes minutes to make: only `make test-engines` names them."""

from importlib.util import find_spec
from pathlib import Path

import pytest

_HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Those who run all tests, or have not got them, do not get these."""
    named = any(_HERE.name in argument for argument in config.args)
    inside = (_HERE / "inside") in (collection_path, *collection_path.parents)
    return True if not named or (inside and find_spec("whisperx") is None) else None


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
