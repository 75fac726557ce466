"""One engine for all tests of vLLM's environment: starting it takes most of the time."""

import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from pipeline.engines.llm.vllm.vllm_environment import ENVIRONMENT
from schemas.settings import LanguageModelSettings
from tests.engines_vllm.adapters import write_adapter

os.environ.update(ENVIRONMENT, OMP_NUM_THREADS="2", HF_HUB_OFFLINE="1")

from vllm.v1.metrics.loggers import PrometheusStatLogger

from pipeline.engines.llm.vllm.vllm_engine import VllmLanguageModel, build


@pytest.fixture(scope="session")
def cache() -> Path:
    """The usual one: what it holds is checked before use, and made there by the first who needs it."""
    return Path("~/.cache/rhapsode").expanduser()


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> LanguageModelSettings:
    folder = tmp_path_factory.mktemp("adapters")
    return LanguageModelSettings(
        engine="vllm",
        slots=4,
        max_model_len=1_024,
        kv_cache_mb=256,
        loras={
            "pirate": write_adapter(folder / "pirate", seed=1),
            "butler": write_adapter(folder / "butler", rank=12, seed=2),
        },
    )


@pytest.fixture(scope="session")
async def vllm(
    settings: LanguageModelSettings, cache: Path, anyio_backend: str
) -> AsyncGenerator[VllmLanguageModel, None]:
    engine = build(settings, cache, [PrometheusStatLogger])
    await engine.load_adapters()
    yield engine
    await engine.aclose()
