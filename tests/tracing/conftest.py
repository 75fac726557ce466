"""One collector and one running application that tells it everything, on a real log."""

import logging
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import httpx
import pytest

from deployments.observability import log_lines
from tests.support import RunningApp, running_app, scripted_settings
from tests.tracing.collector import Collector, collector

STORY = "The keeper lit the lamp, and the fox watched the sea until the morning came. " * 2


@pytest.fixture(scope="package")
def collecting() -> Iterator[Collector]:
    with collector() as found:
        yield found


@pytest.fixture(scope="package")
def quickly() -> Iterator[None]:
    """Spans leave at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        yield


def traced(url: str, **changes: Any) -> dict[str, Any]:
    return {"enabled": True, "endpoint": url, **changes}


@pytest.fixture(scope="package")
def app(
    tmp_path_factory: pytest.TempPathFactory, collecting: Collector, quickly: None
) -> Iterator[RunningApp]:
    settings = scripted_settings(
        tmp_path_factory.mktemp("tracing"),
        llm={
            "reply": STORY,
            "delta_chars": 6,
            "per_delta_ms": 2,
            "fail_on": "fail",
            "call_for": {
                "tide": [{"name": "tides", "arguments": '{"harbour": "Husum"}'}],
                "mend": [{"name": "broken", "arguments": "{}"}],
            },
        },
        tts={"fail_on": "wolf"},
        stt={"texts": ["Please tell me a story."], "per_request_ms": 5},
        tools={
            "functions": {
                name: {"entry_point": f"tests.answers.functions:{name}"} for name in ("tides", "broken")
            }
        },
        tracing=traced(collecting.url, headers={"x-key": "open sesame"}),
    )
    with running_app(settings) as running:
        yield running


@pytest.fixture
async def http(app: RunningApp) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as client:
        yield client


@pytest.fixture
def as_before() -> Iterator[None]:
    """The process' loggers are as they were when the test is over."""
    loggers = [
        logging.getLogger(name)
        for name in (None, "pipeline", "deployments", "schemas", "cluster", "loadtests", *log_lines.SERVE)
    ]
    before = [(one, list(one.handlers), list(one.filters), one.level, one.propagate) for one in loggers]
    yield
    for logger, handlers, filters, level, propagate in before:
        logger.handlers[:], logger.filters[:] = handlers, filters
        logger.setLevel(level)
        logger.propagate = propagate
