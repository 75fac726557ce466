"""vLLM's tests need its environment, which takes minutes to make: only `make test-engines` names them."""

from importlib.util import find_spec
from pathlib import Path

import pytest

_HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Those who run all tests, or have no vLLM, do not get these."""
    named = any(_HERE.name in argument for argument in config.args)
    inside = (_HERE / "inside") in (collection_path, *collection_path.parents)
    return True if not named or (inside and find_spec("vllm") is None) else None


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """One loop for all tests: an engine belongs to the loop in which it began."""
    return "asyncio"
