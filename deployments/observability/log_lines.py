"""The lines that our processes write: where in the work they were written, and nothing of what people say."""

import json
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from deployments.observability.log_redaction import redacted
from pipeline.observability import tracer
from pipeline.observability.tracer import CURRENT_CONTEXT
from schemas.errors import LogError, RhapsodeError
from schemas.settings.telemetry_settings import LoggingSettings

_ROOT: Final = Path(__file__).resolve().parents[2]
_FRAMES: Final = 12
"""Of a traceback, the innermost."""
_CAUSES: Final = 4
_ONE_LINE: Final = frozenset({"asyncio"})
"""Loggers whose messages go on with what tasks and exceptions look like, which may be anything."""
_OURS: Final = ("schemas", "pipeline", "deployments", "cluster", "loadtests")
SERVE: Final = ("ray.serve", "uvicorn", "uvicorn.error", "uvicorn.asgi")
"""Loggers that may have handlers of their own."""


def name_of(error: BaseException) -> str:
    """Describes an error for the log: its kind, and more only where no user's words can be in it."""
    if isinstance(error, BaseExceptionGroup):
        return ", ".join(dict.fromkeys(map(name_of, error.exceptions)))
    if isinstance(error, LogError):
        return f"{error.code}: {error}"
    if isinstance(error, RhapsodeError):
        return f"{error.code} ({type(error).__name__})"
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"
    return type(error).__name__


def places(error: BaseException) -> str:
    """Formats the stack of an error without any message."""
    return "\n".join(line for one in _chain(error) for line in (*_frames(one), name_of(one)))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, the latest last, as Python prints them."""
    found: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and len(found) < _CAUSES:
        found.append(at)
        inner = at.exceptions[0] if isinstance(at, BaseExceptionGroup) else None
        at = inner or at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return reversed(found)


def _frames(error: BaseException) -> Iterator[str]:
    for frame in traceback.extract_tb(error.__traceback__)[-_FRAMES:]:
        path = Path(frame.filename)
        short = path.relative_to(_ROOT) if path.is_relative_to(_ROOT) else Path(*path.parts[-2:])
        yield f"  {short}:{frame.lineno} in {frame.name}"


class Discretion(logging.Filter):
    """Lets every record pass, without messages of exceptions and without what would let its reader in."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not getattr(record, "discreet", False):
            record.discreet = True
            record.msg, record.args = redacted(_message(record)), None
            error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
            if error is not None:
                record.error = name_of(error)
                record.exc_text = places(error)
            record.exc_info = None
        return True


def _message(record: logging.LogRecord) -> str:
    args: Any = record.args
    if isinstance(args, tuple):
        args = tuple(name_of(one) if isinstance(one, BaseException) else one for one in args)
    elif isinstance(args, Mapping):
        args = {k: name_of(one) if isinstance(one, BaseException) else one for k, one in args.items()}
    text = name_of(record.msg) if isinstance(record.msg, BaseException) else str(record.msg)
    try:
        message = text % args if args else text
    except (TypeError, ValueError, KeyError):  # a line that was written wrongly hurts nobody
        message = text
    return message.partition("\n")[0] if record.name in _ONE_LINE else message


class Where(logging.Filter):
    """Notes on every record where in the work it was written."""

    def __init__(self, replica: str) -> None:
        super().__init__()
        self._replica = replica

    def filter(self, record: logging.LogRecord) -> bool:
        trace_context = CURRENT_CONTEXT.get()
        fields: dict[str, Any] = {"replica": self._replica}
        if trace_context.session:
            fields["session"] = trace_context.session
        if trace_context.turn:
            trace = trace_context.trace or tracer.trace_id(trace_context.session, trace_context.turn)
            fields |= {"turn": trace_context.turn, "trace_id": f"{trace:032x}"}
        context = trace_context.span.get_span_context()
        if context.is_valid:
            fields |= {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
        record.where = fields
        return True


class JsonLine(logging.Formatter):
    """One object in each line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "where", {}),
        }
        if error := getattr(record, "error", ""):
            line |= {"error": error, "stack": record.exc_text}
        return json.dumps(line, ensure_ascii=False, default=str)


class TextLogFormatter(logging.Formatter):
    """For people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = super().formatMessage(record)
        where = getattr(record, "where", {})
        names = [f"{name}={where[name]}" for name in ("session", "turn", "trace_id") if name in where]
        return f"{line} [{' '.join(names)}]" if names else line


class _Lines(logging.StreamHandler[Any]):
    """Ours: a process has one."""


def install(settings: LoggingSettings, replica: str) -> None:
    """For this process, which is ours alone. The last call counts."""
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, _Lines)]:
        root.removeHandler(handler)
    lines = _Lines(sys.__stderr__)  # Serve puts a logger of its own, with a level, in the place of sys.stderr
    discretion = Discretion()
    lines.addFilter(discretion)
    lines.addFilter(Where(replica))
    lines.setFormatter(JsonLine() if settings.format == "json" else TextLogFormatter())
    root.addHandler(lines)
    level = logging.getLevelNamesMapping()[settings.level]
    root.setLevel(max(level, logging.INFO))  # below that, libraries write down what they transport
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
    for name in SERVE:
        logger = logging.getLogger(name)
        if name != "ray.serve":  # that writes files of its own
            logger.handlers.clear()
            logger.propagate = True
        if not any(isinstance(one, Discretion) for one in logger.filters):
            logger.addFilter(discretion)
