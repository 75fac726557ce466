"""The native face, texts of documents that are not kept: to be read aloud."""

import re
from typing import Final

from fastapi import APIRouter, Request

from deployments.faces.forms.form_files import file_form, received
from deployments.faces.native.session_routes import Open
from deployments.web.resource_access import Caller
from schemas.errors.retrieval_errors import DocumentError, DocumentTooLarge
from schemas.native.document_messages import DocumentText

router = APIRouter(prefix="/v1/documents", tags=["documents"])

PATH: Final = re.compile(r"/v1/documents/text")
"""Takes bodies of any size: it has a limit of its own, and holds them on disk."""


@router.post("/text", openapi_extra=file_form())
async def read_text(services: Open, caller: Caller, request: Request) -> DocumentText:
    """Returns the text of a PDF, DOCX, HTML, Markdown or text file, as far as it can be read aloud.

    Nothing of it is kept. It counts as a search. A text that is longer than `limits.text_chars` is refused:
    `document.too_large`.
    """
    await services.allowance.search(caller.name)
    limit, most = services.settings.retrieval.limits.bytes, services.settings.limits.text_chars
    with services.collections.additions.place(caller.name), services.arriving.file(caller.name) as arrival:
        _, new = await received(request, limit, arrival, caller.name)
        with new.file:
            try:
                found = await services.collections.read(new.upload, caller.name)
            except DocumentError as error:
                raise type(error)(str(error), field="file") from error
    if len(found.text) > most:
        raise DocumentTooLarge(
            f"The document has {len(found.text)} characters; at most {most}.", field="file"
        )
    return DocumentText(name=new.upload.name, title=found.title, pages=found.pages, text=found.text)
