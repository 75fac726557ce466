"""A session that has ended goes into the archive at once, not only with the next sweep."""

import logging
from collections.abc import Sequence
from typing import Final

from pipeline.background.worker_ports import Change, Pointer
from pipeline.eventlog.archive.archiver import Archiver
from schemas.errors import ArchiveUnavailable
from schemas.events.recorded import Recorded

_logger = logging.getLogger(__name__)


class ArchiveEnded:
    """Archiving is idempotent, so that at least once is enough."""

    name: Final = "archive"
    types: Final = frozenset({"session.ended"})

    def __init__(self, archiver: Archiver) -> None:
        self._archiver = archiver

    async def apply(self, pointer: Pointer, event: Recorded) -> Sequence[Change] | None:
        try:
            await self._archiver.archive(pointer.session)
        except ArchiveUnavailable as error:  # the sweep comes by when the storage is there again
            _logger.warning("session %s waits for the archive: %s", pointer.session, error)
        return None
