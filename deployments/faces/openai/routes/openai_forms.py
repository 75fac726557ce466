"""Forms with a recording in them: received onto the disk, under the limit of recordings."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import IO, Any, Final, NamedTuple, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message

from deployments.faces.forms.form_bodies import check_form_type
from pipeline.admission.upload_limits import Arrival
from schemas.errors import BodyTooLarge, InputError, NotSound
from schemas.errors.openai_errors import MissingParameter
from schemas.openai.transcription_request import LISTS

PATH: Final = re.compile(r"/v1/audio/(transcriptions|translations)")
"""Takes bodies of any size: it has a limit of its own, and holds them on disk."""
_FIELDS: Final = 40
_FIELD_BYTES: Final = 64 * 1024
"""Fields are held in memory."""
_NO_FILE: Final = f"a part without a file name may have {_FIELD_BYTES // 1024} KB; give the file a name"
_NAME_CHARS: Final = 200
_PART: Final = re.compile(r"chunking_strategy\[(\w{1,40})\]")
"""So the stock clients write an object into a form."""
M = TypeVar("M", bound=BaseModel)


class UploadedRecording(NamedTuple):
    """Uploaded recording, kept on the disk while its form is open."""

    file: IO[bytes]
    name: str


@asynccontextmanager
async def form_with_file(
    request: Request, model: type[M], arrival: Arrival, *, limit: int
) -> AsyncGenerator[tuple[M, UploadedRecording], None]:
    """Raises InputError, BodyTooLarge, RequestValidationError, GatewayBusy or UploadLimit."""
    form = await _received(request, limit, arrival)
    try:
        file = form.get("file")
        fields = _fields(form, model)
        try:
            params = model.model_validate(fields)
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from error
        if not isinstance(file, UploadFile):
            raise MissingParameter("Missing required parameter: 'file'.", field="file")
        yield params, UploadedRecording(file.file, _shown(file.filename or ""))
    finally:
        await form.close()


async def _received(request: Request, limit: int, arrival: Arrival) -> FormData:
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise BodyTooLarge(f"the recording is larger than {limit} bytes", field="file")
        arrival.grow(len(message.get("body", b"")))
        return message

    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise InputError("send a form, as multipart/form-data, with a file in it")
    check_form_type(request)
    try:
        return await Request(request.scope, counted).form(
            max_files=1, max_fields=_FIELDS, max_part_size=_FIELD_BYTES
        )
    except HTTPException as error:
        detail = _NO_FILE if str(error.detail).startswith("Part exceeded") else error.detail
        raise InputError(f"the form cannot be read: {detail}") from error
    except ClientDisconnect as error:
        raise NotSound("the recording did not arrive", field="file") from error


def _fields(form: FormData, model: type[BaseModel]) -> dict[str, Any]:
    """Drops empty fields. Raises InputError for a field that is given twice and may not be."""
    fields: dict[str, Any] = {}
    for given, value in form.multi_items():
        name = given.removesuffix("[]")
        if not isinstance(value, str):
            if name != "file":
                raise InputError(f"{given[:80]} is no file", field=given[:80])
            continue
        if not value:
            continue
        if part := _PART.fullmatch(given):
            fields.setdefault("chunking_strategy", {})[part[1]] = value
        elif name in LISTS:
            fields.setdefault(name, []).append(value)
        elif fields.setdefault(given, value) != value and given in model.model_fields:
            raise InputError(f"{given[:80]} is given twice", field=given[:80])
    return fields


def _shown(name: str) -> str:
    return "".join(one if one.isprintable() else "\ufffd" for one in name)[:_NAME_CHARS]
