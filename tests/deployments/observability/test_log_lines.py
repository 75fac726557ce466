"""Log lines: what is in them, and what is not, whoever writes them."""

import asyncio
import json
import logging
from typing import Any, Literal

import pytest

from deployments.observability import log_lines
from pipeline.observability import tracer
from pipeline.observability.tracer import TraceContext, within
from schemas.errors import EngineFailed, LogUnavailable, UnknownVoice
from schemas.settings.telemetry_settings import LoggingSettings

pytestmark = pytest.mark.usefixtures("as_before")

MARKED = "Xylophonist"
LOG = logging.getLogger("pipeline.somewhere")


def install(form: Literal["text", "json"]) -> None:
    log_lines.install(LoggingSettings(format=form), "Gateway#1")


def lines(written: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.splitlines()]


def test_a_line_says_where_it_was_written(capfd: pytest.CaptureFixture[str]) -> None:
    install("json")
    install("json")
    LOG.warning("on its own")
    with within(TraceContext("a-session")):
        LOG.warning("in a session")
        with within(TraceContext("a-session", 7)):
            LOG.error("in a turn: %d%%", 50)
            LOG.info("too quiet")
    alone, session, turn = lines(capfd.readouterr().err)
    assert (
        alone.items() >= {"level": "WARNING", "logger": "pipeline.somewhere", "replica": "Gateway#1"}.items()
    )
    assert "session" not in alone
    assert session["session"] == "a-session"
    assert turn["message"] == "in a turn: 50%"
    assert turn["trace_id"] == f"{tracer.trace_id('a-session', 7):032x}"


def test_libraries_do_not_tell_what_they_transport(capfd: pytest.CaptureFixture[str]) -> None:
    log_lines.install(LoggingSettings(level="DEBUG"), "Gateway#1")
    logging.getLogger("websockets.protocol").debug("> TEXT %s", MARKED)
    LOG.debug("ours")
    written = capfd.readouterr().err
    assert MARKED not in written
    assert "ours" in written


def crash() -> None:
    try:
        int(MARKED)
    except ValueError as error:
        raise EngineFailed(f"cannot say {MARKED}") from error


@pytest.mark.parametrize("form", ["text", "json"])
def test_errors_are_told_by_their_kind_and_place_never_by_their_message(
    capfd: pytest.CaptureFixture[str], form: Literal["text", "json"]
) -> None:
    install(form)
    LOG.warning("a voice: %s", UnknownVoice(f"there is no voice {MARKED}"))
    LOG.warning("a group: %s", ExceptionGroup(MARKED, [ValueError(MARKED), EngineFailed(MARKED)]))
    LOG.warning(ValueError(MARKED))  # type: ignore[arg-type]
    LOG.warning("named: %(error)s", {"error": KeyError(MARKED)})
    LOG.warning("the log: %s", LogUnavailable("nobody answers"))
    LOG.warning("the disk: %s", OSError(28, "No space left on device", f"/home/{MARKED}"))
    try:
        crash()
    except EngineFailed:
        LOG.exception("it failed")
    told = capfd.readouterr().err
    assert MARKED not in told
    for part in ("voice.unknown", "ValueError, engine.failed", "nobody answers", "No space left", "in crash"):
        assert part in told
    assert "tests/deployments/observability/test_log_lines.py:" in told


@pytest.mark.anyio
async def test_lines_of_other_libraries_are_discreet_too(capfd: pytest.CaptureFixture[str]) -> None:
    install("json")

    async def fail() -> None:
        raise ValueError(MARKED)

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    context = {"message": "Task exception was never retrieved", "future": task, "exception": task.exception()}
    asyncio.get_running_loop().default_exception_handler(context)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # other servers of this process are quieter
    logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=ValueError(MARKED))
    logging.getLogger("websockets.server").error("GET /v1/x?token=%s HTTP/1.1", "secret-" + MARKED)
    written = capfd.readouterr().err
    assert MARKED not in written
    told = lines(written)
    assert [line.get("error") for line in told] == ["ValueError", "ValueError", None]


def test_a_line_that_was_written_wrongly_is_told_as_it_is() -> None:
    record = logging.LogRecord("pipeline.x", logging.WARNING, __file__, 1, "%d of %d", (1,), None)
    assert log_lines.Discretion().filter(record)
    assert record.getMessage() == "%d of %d"
