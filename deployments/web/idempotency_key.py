"""The key by which a repeated request asks once: the header `Idempotency-Key`, or the field `key`."""

from typing import Annotated, TypeVar

from fastapi import Header
from pydantic import BaseModel

from schemas.errors import InputError

IdempotencyKey = Annotated[
    str | None, Header(alias="Idempotency-Key", max_length=200, pattern=r"^[\x21-\x7e]+$")
]
Request = TypeVar("Request", bound=BaseModel)


def keyed(request: Request, header: str | None) -> Request:
    """The request with its key, also where only the header has it. Raises InputError if the two differ."""
    key: str | None = request.key  # type: ignore[attr-defined]
    if header is not None and key not in (None, header):
        raise InputError("the header Idempotency-Key and the field key differ", field="key")
    return request.model_copy(update={"key": header or key})
