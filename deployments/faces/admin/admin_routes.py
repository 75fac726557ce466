"""The native face for upkeep: workers, dead letters, projections, metrics, the list of sessions."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from deployments.faces.native.session_routes import Open
from deployments.observability.metrics_page import MEDIA_TYPE
from deployments.web.resource_access import Caller
from pipeline.background.answer_search import LONGEST_S, AnswerSearch
from pipeline.background.session_directory import KINDS
from pipeline.background.worker_ports import Letter
from schemas.errors import DeadLetterNotFound, ProjectionNotFound
from schemas.errors.access_errors import Forbidden
from schemas.events import Kind
from schemas.native.worker_answers import (
    DeadLetter,
    DeadLetters,
    RebuildAccepted,
    RetryAccepted,
    SessionList,
    WorkerReport,
)

router = APIRouter(tags=["workers"])
_CURSOR = Query(max_length=80)


async def admins_only(caller: Caller) -> None:
    """Raises Forbidden."""
    if not caller.admin:
        raise Forbidden("this is for administrators")


Admin = Depends(admins_only)
Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("/v1/sessions", tags=["sessions"])
async def list_sessions(
    services: Open,
    caller: Caller,
    kind: Annotated[list[Kind] | None, Query(max_length=7)] = None,
    query: Annotated[str, Query(max_length=200)] = "",
    before: Annotated[str | None, _CURSOR] = None,
    limit: Limit = 50,
    *,
    answers: bool = False,
) -> SessionList:
    """The caller's own, newest first: of one or several kinds; with `query` those that have all of its words
    in their title, or a thread in its questions. A new one is listed a moment after its creation.

    `answers`: also in answers, and in questions of other kinds, for two seconds; `next` goes on from there.
    Raises GatewayBusy where others search for longer than that.
    """
    listed = partial(services.directory.list, caller.name, kinds=kind or KINDS, before=before, limit=limit)
    if not answers:
        return await listed(query=query)
    busy = "others are searching in answers; try again shortly"
    async with services.searching.soon(caller.name, wait_s=2 * LONGEST_S, busy=busy):
        return await listed(query=query, answers=AnswerSearch(services.log, services.clock))


@router.get("/v1/workers", dependencies=[Admin])
async def workers(services: Open) -> WorkerReport:
    return await services.metrics.report()


@router.get("/v1/dead-letters", dependencies=[Admin])
async def dead_letters(
    services: Open, after: Annotated[str | None, _CURSOR] = None, limit: Limit = 50
) -> DeadLetters:
    if after is not None and not services.maintenance.is_letter_id(after):
        raise DeadLetterNotFound(f"{after!r} is no dead letter", field="after")
    found = await services.maintenance.letters(after, limit + 1)
    return DeadLetters(
        dead_letters=tuple(_shown(letter) for letter in found[:limit]),
        next=found[limit - 1].id if len(found) > limit else None,
    )


@router.post("/v1/dead-letters/{letter}/retry", status_code=202, dependencies=[Admin])
async def retry(services: Open, letter: str) -> RetryAccepted:
    """Hand the event to its effect or projection once more; a projection tries all letters of the session."""
    found = await services.maintenance.letter(letter)
    if found is None or not await services.maintenance.retry(found):
        raise _not_found(letter)
    return RetryAccepted(id=letter)


@router.delete("/v1/dead-letters/{letter}", status_code=204, dependencies=[Admin])
async def drop(services: Open, letter: str) -> None:
    """Give the event up for good, as far as this effect or projection is concerned."""
    found = await services.maintenance.letter(letter)
    if found is None or not await services.maintenance.drop(found):
        raise _not_found(letter)


@router.post("/v1/projections/{projection}/rebuild", status_code=202, dependencies=[Admin])
async def rebuild(services: Open, projection: str) -> RebuildAccepted:
    if not await services.maintenance.rebuild(projection):
        raise ProjectionNotFound(f"there is no projection {projection[:80]!r}", field="projection")
    return RebuildAccepted(projection=projection)


@router.get("/metrics", dependencies=[Admin], response_class=Response)
async def metrics(services: Open) -> Response:
    """For Prometheus."""
    return Response(await services.metrics.page(), media_type=MEDIA_TYPE)


def _not_found(letter: str) -> DeadLetterNotFound:
    return DeadLetterNotFound(f"there is no dead letter {letter[:80]!r}", field="letter")


def _shown(letter: Letter) -> DeadLetter:
    return DeadLetter(
        id=letter.id,
        kind=letter.kind,
        reader=letter.reader,
        session_id=letter.session,
        seq=letter.seq,
        type=letter.type,
        error=letter.error,
        tries=letter.tries,
        first_ms=letter.first_ms,
        buried_ms=letter.buried_ms,
    )
