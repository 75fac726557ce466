"""The documents that clients are built from; `python -m cluster.documents` writes them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from schemas import errors
from schemas.documents import asyncapi
from schemas.errors import (
    access_errors,
    openai_errors,
    realtime_errors,
    retrieval_errors,
    stream_errors,
)
from schemas.events import EVENT
from schemas.native import (
    client_commands,
    comparison_answers,
    native_messages,
    transfer_answers,
    worker_answers,
)
from schemas.settings import AppSettings

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_COMMANDS: Final = (
    client_commands.CreateSession,
    client_commands.UpdateSession,
    client_commands.RequestTurn,
    client_commands.Control,
    client_commands.CreateShare,
    transfer_answers.ForkSession,
)
_ANSWERS: Final = (
    native_messages.SessionCreated,
    native_messages.SessionView,
    native_messages.SessionUpdated,
    native_messages.TurnAccepted,
    native_messages.ControlAccepted,
    native_messages.Voices,
    native_messages.LocalModels,
    native_messages.Health,
    native_messages.Problem,
    native_messages.TokenMade,
    native_messages.ShareMade,
    native_messages.ShareList,
    native_messages.SessionMetrics,
    worker_answers.SessionList,
    worker_answers.WorkerReport,
    worker_answers.DeadLetters,
    worker_answers.RetryAccepted,
    worker_answers.RebuildAccepted,
    native_messages.Readiness,
    native_messages.GatewayList,
    native_messages.LeaveAccepted,
    transfer_answers.SessionForked,
    transfer_answers.SessionImported,
    transfer_answers.ErasureProof,
    comparison_answers.ComparisonProgress,
    comparison_answers.ComparisonReport,
    comparison_answers.ComparisonFailed,
)


_ERRORS: Final = (
    errors.RhapsodeError,
    access_errors.AccessError,
    realtime_errors.RealtimeInvalid,
    retrieval_errors.DocumentError,
    stream_errors.StreamNotFound,
    openai_errors.ModelNotFound,
    openai_errors.UnsupportedParameter,
    openai_errors.UnsupportedValue,
    openai_errors.MissingParameter,
    openai_errors.AnswerStopped,
)
"""The root, and the branches in modules of their own."""


def documents() -> dict[str, Any]:
    """Every document by its path under docs/."""
    return {
        "asyncapi.json": asyncapi.document(),
        "schemas/facts.json": _titled("Facts", EVENT.json_schema(mode="serialization")),
        "schemas/settings.json": _titled("Settings", AppSettings.model_json_schema()),
        "schemas/commands.json": _collected("Commands", _COMMANDS),
        "schemas/messages.json": _titled(
            "Client messages", TypeAdapter(native_messages.ClientMessage).json_schema()
        ),
        "schemas/answers.json": _collected("Answers", _ANSWERS),
        "schemas/errors.json": _errors(),
    }


def written(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def stale(files: Mapping[Path, str], *, write: bool) -> list[Path]:
    """Those that have another text than they should; with `write` they are written."""
    found = [path for path, text in files.items() if not path.is_file() or path.read_text("utf-8") != text]
    for path in found if write else ():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path], "utf-8")
    return found


def _titled(title: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": _DIALECT, "title": title} | schema


def _collected(title: str, models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    _, schema = models_json_schema([(model, "validation") for model in models])
    return {"$schema": _DIALECT, "title": title, "$defs": schema["$defs"]}


def _errors() -> dict[str, Any]:
    """The codes that a problem document or an `error` frame may carry, with their meaning."""
    found: dict[str, Any] = {}
    for error in dict.fromkeys(kind for root in _ERRORS for kind in _family(root)):
        meaning = (error.__doc__ or "").strip().split("\n\n")[0]
        if error.code not in found or (meaning and not found[error.code]["description"]):
            found[error.code] = {
                "const": error.code,
                "description": meaning,
                "x-retryable": error.retryable,
            }
    return {"$schema": _DIALECT, "title": "Error codes", "oneOf": [found[code] for code in sorted(found)]}


def _family(error: type[errors.RhapsodeError]) -> list[type[errors.RhapsodeError]]:
    return [error, *(kind for child in error.__subclasses__() for kind in _family(child))]
