"""Which collections a session may look things up in: its owner's own."""

from collections.abc import Sequence

from pipeline.eventlog.event_log import EventLog
from schemas.errors.retrieval_errors import CollectionNotFound
from schemas.ids import Seq, parse_session_id
from schemas.native.client_commands import SettingsPatch
from schemas.settings import SessionSettings


async def check_readable(log: EventLog, patch: SettingsPatch, principal: str) -> None:
    """What a patch names must be there, and this principal's. Raises CollectionNotFound."""
    if "collections" not in patch.model_fields_set:
        return
    found = await readable(log, patch.collections, principal)
    if missing := [collection for collection in patch.collections if collection not in found]:
        raise CollectionNotFound(f"there is no collection {missing[0][:80]!r}", field="settings.collections")


async def with_readable(log: EventLog, settings: SessionSettings, principal: str) -> SessionSettings:
    """Without the collections that are gone, or that came along with an imported session."""
    if not settings.collections:
        return settings
    found = await readable(log, settings.collections, principal)
    return settings.model_copy(update={"collections": found})


async def readable(log: EventLog, collections: Sequence[str], principal: str) -> tuple[str, ...]:
    """Those of them that are this principal's collections."""
    found = []
    for collection in dict.fromkeys(collections):
        session = parse_session_id(collection)
        first = [] if session is None else await log.read(session, Seq(0), limit=1)
        data = first[0].data if first else {}
        if data.get("kind") == "collection" and data.get("principal", "") == principal:
            found.append(collection)
    return tuple(found)
