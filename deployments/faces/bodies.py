"""Request bodies that may be forms as well as JSON: what older clients send."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile

M = TypeVar("M", bound=BaseModel)

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_FIELDS = 50


def form_or_json(model: type[M]) -> Callable[[Request], Awaitable[M]]:
    """A dependency that reads the body as `model`, whichever way it comes; no body is an empty one."""

    async def read(request: Request) -> M:
        try:
            return model.model_validate(await _fields(request))
        except ValidationError as error:
            raise RequestValidationError(error.errors(include_context=False)) from error

    return read


async def _fields(request: Request) -> Any:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _FORMS:
        form = await request.form(max_fields=_FIELDS, max_files=0)
        return {name: value for name, value in form.multi_items() if not isinstance(value, UploadFile)}
    body = await request.body()
    try:
        return orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError as error:
        problem = {"type": "json_invalid", "loc": ("body",), "msg": "not JSON", "input": None}
        raise RequestValidationError([problem]) from error


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """For `openapi_extra`: the body in both shapes."""
    shape = {"schema": model.model_json_schema(ref_template="#/components/schemas/{model}")}
    return {"requestBody": {"content": {"application/json": shape, _FORMS[0]: shape}}}
