"""Additions to the OpenAPI document that the routes alone do not give."""

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI

from deployments.web.auth_middleware import PUBLIC
from deployments.web.body_limits import SIGNED
from deployments.web.error_shapes import anthropic_problems, openai_problems
from schemas.anthropic.anthropic_answers import AnthropicError
from schemas.native.native_messages import Problem
from schemas.openai.openai_answers import OpenAiError

_REF: Final = "#/components/schemas/{model}"
_NOT_OURS: Final = ("HTTPValidationError", "ValidationError")
"""FastAPI's own words for wrong requests; ours is a problem document."""


def describe(app: FastAPI) -> None:
    """The gate asks for credentials before any route, and every route may answer with a problem."""
    described = app.openapi

    def whole() -> dict[str, Any]:
        if app.openapi_schema is not None:  # made once, whoever asks how often
            return app.openapi_schema
        document = described()
        components = document["components"]
        components["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer", "description": "A key, a token or a share link."},
            "token": {"type": "apiKey", "in": "query", "name": "token", "description": "Never an API key."},
        }
        components["schemas"]["Problem"] = Problem.model_json_schema(ref_template=_REF)
        for answer in (OpenAiError, AnthropicError):
            schema = answer.model_json_schema(ref_template=_REF)
            components["schemas"] |= {**schema.pop("$defs"), answer.__name__: schema}
        for name in _NOT_OURS:
            components["schemas"].pop(name, None)
        document["security"] = [{"bearer": []}, {"token": []}]
        for path, operation in _operations(document):
            operation["responses"].pop("422", None)
            operation["responses"].setdefault("default", _refusal(path))
            if path in PUBLIC or path.startswith(SIGNED):
                operation["security"] = []
        return document

    app.openapi = whole  # type: ignore[method-assign]


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            yield path, operation


def _refusal(path: str) -> dict[str, Any]:
    for name, paths in (("OpenAI", openai_problems.PATHS), ("Anthropic", anthropic_problems.PATHS)):
        if paths.fullmatch(path):
            schema = {"schema": {"$ref": _REF.format(model=f"{name.replace('AI', 'Ai')}Error")}}
            told = f"The error, as {name} says it."
            return {"description": told, "content": {"application/json": schema}}
    problem = {"schema": {"$ref": _REF.format(model="Problem")}}
    return {
        "description": "The error, by a stable code (docs/schemas/errors.json), and where.",
        "content": {"application/problem+json": problem},
    }
