"""Request bodies that may be forms as well as JSON: what older clients send."""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar
from urllib.parse import unquote_to_bytes

import anyio.to_thread
import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from python_multipart.multipart import parse_options_header
from starlette.exceptions import HTTPException

from deployments.web.body_limits import read_json
from schemas.errors import InputError

M = TypeVar("M", bound=BaseModel)

_URLENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
_FIELDS = 50
_TYPE_CHARS: Final = 1_024
"""A boundary has 256 at most. A megabyte takes two seconds to be read."""
_CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "latin1"})


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
    if kind == _URLENCODED:
        return _filled(await anyio.to_thread.run_sync(_pairs, await request.body()))
    if kind == _MULTIPART:
        check_form_type(request)
        try:
            form = await request.form(max_fields=_FIELDS, max_files=0)
        except HTTPException as error:
            raise InputError(f"the form cannot be read: {error.detail}") from error
        return _filled((name, value) for name, value in form.multi_items() if isinstance(value, str))
    body = await request.body()
    try:
        return await read_json(body) if body.strip() else {}
    except orjson.JSONDecodeError as error:
        problem = {"type": "json_invalid", "loc": ("body",), "msg": "not JSON", "input": None}
        raise RequestValidationError([problem]) from error


def check_form_type(request: Request) -> None:
    """Raises InputError where a form's Content-Type is too long, or names no charset that is read here.

    The library takes any codec of Python's: with `punycode` a field of 250 kB holds the loop for two seconds.
    """
    kind = request.headers.get("content-type", "")
    if len(kind) > _TYPE_CHARS:
        raise InputError(f"it has at most {_TYPE_CHARS} characters for a form", field="content-type")
    _, options = parse_options_header(kind)
    charset = options.get(b"charset", b"utf-8").decode("latin-1")
    if charset.lower().replace("_", "-") not in _CHARSETS:
        raise InputError(f"the form is in {charset[:40]!r}; send it in UTF-8", field="content-type")


def _pairs(body: bytes) -> list[tuple[str, str]]:
    """As the WHATWG URL standard has it, in UTF-8, percent-encoded or not. Two megabytes take a second."""
    if body.count(b"&") >= _FIELDS:
        raise InputError(f"the form cannot be read: it has over {_FIELDS} fields")
    pairs = [pair.partition(b"=") for pair in body.split(b"&")]
    try:
        return [(_decoded(name), _decoded(value)) for name, _, value in pairs]
    except UnicodeDecodeError as error:
        raise InputError("the form cannot be read: it is not UTF-8") from error


def _decoded(text: bytes) -> str:
    """Piece by piece: the library takes 300 MB for two megabytes of percent signs."""
    pieces = _PIECE.finditer(text.replace(b"+", b" "))
    return b"".join(unquote_to_bytes(piece[0]) for piece in pieces).decode()


_PIECE: Final = re.compile(rb"(?:%[0-9A-Fa-f]{2}|.){1,1024}", re.DOTALL)
"""Part of a form's text; no escape is cut in two. With a larger number a form takes more memory."""


def _filled(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A field that was left empty was left out: browsers send it all the same."""
    return {name: value for name, value in fields if value}


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """For `openapi_extra`: the body in both shapes."""
    shape = {"schema": model.model_json_schema(ref_template="#/components/schemas/{model}")}
    return {"requestBody": {"content": {"application/json": shape, _URLENCODED: shape}}}
