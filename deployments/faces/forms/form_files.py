"""Files that arrive in forms: kept on disk, within a limit that holds while they arrive."""

import shutil
import tempfile
from collections.abc import AsyncGenerator
from pathlib import PurePosixPath
from typing import IO, Any, Final

import anyio.to_thread
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from deployments.faces.forms.form_bodies import check_form_type
from deployments.web.spool import path_of
from pipeline.admission.upload_limits import Arrival
from pipeline.apps.ingest_jobs import NewUpload
from schemas.errors import InputCancelled, InputError, UnsupportedFormat
from schemas.errors.retrieval_errors import DocumentTooLarge
from schemas.native.document_messages import Upload

_FRAME: Final = 64 * 1024
"""Bytes that the form itself may have around its file."""
_FIELDS: Final = 8
_FIELD_BYTES: Final = 8_000


def file_form(**fields: Any) -> dict[str, Any]:
    """For OpenAPI: a form with a file, and `fields` that it may have."""
    file = {"type": "string", "format": "binary"}
    schema = {"type": "object", "required": ["file"], "properties": {"file": file, **fields}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


async def received(
    request: Request, limit: int, arrival: Arrival, principal: str
) -> tuple[Upload, NewUpload]:
    """The form's fields and its file, which the caller closes.

    Raises InputError, UnsupportedFormat, DocumentTooLarge, InputCancelled, GatewayBusy or UploadLimit.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise UnsupportedFormat("send the document in a form: multipart/form-data", field="body")
    check_form_type(request)
    form = await _form(request, limit, arrival)
    try:
        files = [(name, value) for name, value in form.multi_items() if isinstance(value, UploadFile)]
        if [name for name, _ in files] != ["file"]:
            raise InputError("the form must have one file, in the field file", field="file")
        file = files[0][1]
        params = _fields(form, file)
        kept = await anyio.to_thread.run_sync(_kept, file.file)
    finally:
        await form.close()
    return params, NewUpload(
        kept,
        path_of(kept.fileno()),
        name=params.name or "document",
        declared=file.content_type,
        size=file.size or 0,
        principal=principal,
    )


async def _form(request: Request, limit: int, arrival: Arrival) -> FormData:
    pieces = _bounded(request, limit, arrival)
    parser = MultiPartParser(
        request.headers, pieces, max_files=1, max_fields=_FIELDS, max_part_size=_FIELD_BYTES
    )
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise InputError(f"the form cannot be read: {error.message}", field="body") from error
    except ClientDisconnect as error:
        raise InputCancelled("the document did not arrive") from error
    finally:
        await pieces.aclose()


async def _bounded(request: Request, limit: int, arrival: Arrival) -> AsyncGenerator[bytes, None]:
    length = 0
    async for piece in request.stream():
        length += len(piece)
        if length > limit + _FRAME:
            raise DocumentTooLarge(f"the document is larger than {limit} bytes", field="file")
        arrival.grow(len(piece))
        yield piece


def _fields(form: FormData, file: UploadFile) -> Upload:
    """Raises RequestValidationError, which names the field."""
    given = {name: value for name, value in form.multi_items() if isinstance(value, str) and value}
    given.setdefault("name", PurePosixPath((file.filename or "").replace("\\", "/")).name[:300] or "document")
    try:
        return Upload.model_validate(given)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_context=False)) from error


def _kept(source: IO[bytes]) -> IO[bytes]:
    """A copy that is certainly on disk; closing it removes it."""
    kept: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the caller's
    try:
        shutil.copyfileobj(source, kept)
        kept.flush()
    except BaseException:
        kept.close()
        raise
    return kept
