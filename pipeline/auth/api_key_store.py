"""The keys that are good now, as the key file says, looked at again when it changes."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pipeline.auth.api_keys import KeyFileDamaged, KeyRecord, id_of, read_keys
from pipeline.core.clock import Clock
from schemas.errors.access_errors import CredentialExpired, CredentialInvalid
from schemas.principals import Principal

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
"""So long a change of the file may stay unnoticed."""


class ApiKeyStore:
    """As careful as the file: what was revoked stops working, and a file that vanishes opens nothing."""

    def __init__(self, file: Path, clock: Clock) -> None:
        """Raises KeyFileDamaged or OSError."""
        self._file = file
        self._clock = clock
        self._seen = self._look()
        self._records: Mapping[str, KeyRecord] = {record.id: record for record in read_keys(file)}
        self._looked = clock.monotonic()
        self._had_keys = bool(self._records)

    @property
    def had_keys(self) -> bool:
        """There is a key, or there was one since we look."""
        self._refresh()
        return self._had_keys

    def check(self, key: str) -> Principal:
        """Whose key this is. Raises CredentialInvalid or CredentialExpired."""
        self._refresh()
        record = self._records.get(id_of(key) or "")
        if record is None or not record.fits(key):
            raise CredentialInvalid("this API key is not known here")
        return self._vouched(record)

    def vouch(self, ident: str) -> Principal:
        """The principal of the key with this id, for who has shown it before. Raises as `check`."""
        self._refresh()
        record = self._records.get(ident)
        if record is None:
            raise CredentialInvalid("the API key behind this is not known any more")
        return self._vouched(record)

    def _vouched(self, record: KeyRecord) -> Principal:
        if record.revoked_ms is not None:
            raise CredentialInvalid("this API key was revoked")
        if record.expired(self._clock.now_ms()):
            raise CredentialExpired("this API key has expired")
        return Principal(record.principal, record.roles, key=record.id)

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = self._file.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _refresh(self) -> None:
        now = self._clock.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        try:
            seen = self._look()
            if seen == self._seen:
                return
            self._records = {record.id: record for record in read_keys(self._file)}
            self._seen = seen
        except (KeyFileDamaged, OSError) as error:
            log.error("the keys stay as they were: %s", error)  # noqa: TRY400 - the place says it all
            return
        self._had_keys = self._had_keys or bool(self._records)
