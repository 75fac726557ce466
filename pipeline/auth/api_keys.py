"""API keys: shown once, kept as hashes in a file that is read again when it changes."""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.auth.principals import USER, Principal, Role
from pipeline.core.clock import Clock
from pipeline.core.private_files import locked, write_file
from schemas.errors.access_errors import CredentialExpired, CredentialInvalid

PREFIX: Final = "rhapsode_"
"""So that a key that went astray can be recognised, by people and by scanners."""
_SECRET_BYTES: Final = 24

PrincipalName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\x21-\x7e]{0,127}$")]


class KeyRecord(BaseModel):
    """One line of the file. Unknown fields are a later version's."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(pattern=r"^[0-9a-f]{8}$")
    principal: PrincipalName
    roles: frozenset[Role] = USER
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    created_ms: int
    expires_ms: int | None = None
    revoked_ms: int | None = None
    label: str = ""

    def fits(self, key: str) -> bool:
        """In the same time for every wrong key."""
        return hmac.compare_digest(self.sha256, _digest(key))

    def expired(self, now_ms: int) -> bool:
        return self.expires_ms is not None and now_ms >= self.expires_ms


class KeyFileDamaged(Exception):
    """The file is there but is not what we write."""


def _digest(key: str) -> str:
    """One round is enough: a key has 192 random bits, which no dictionary helps to guess."""
    return hashlib.sha256(key.encode()).hexdigest()


def id_of(key: str) -> str | None:
    """The id inside a key; None for what is no key of ours."""
    ident, _, secret = key.removeprefix(PREFIX).partition("_")
    return ident if key.startswith(PREFIX) and ident and secret else None


def read_keys(file: Path) -> list[KeyRecord]:
    """Every key, revoked ones too; none where there is no file. Raises KeyFileDamaged or OSError."""
    try:
        lines = file.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    records = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                records.append(KeyRecord.model_validate_json(line))
            except ValidationError as error:
                raise KeyFileDamaged(f"{file}: line {number} is no key record") from error
    return records


def create_key(
    file: Path,
    principal: str,
    *,
    now_ms: int,
    roles: frozenset[Role] = USER,
    expires_ms: int | None = None,
    label: str = "",
) -> tuple[str, KeyRecord]:
    """A new key, which nobody will ever see again, and its record, which is in the file."""
    ident = secrets.token_hex(4)
    key = f"{PREFIX}{ident}_{secrets.token_hex(_SECRET_BYTES)}"
    record = KeyRecord(
        id=ident,
        principal=principal,
        roles=roles,
        sha256=_digest(key),
        created_ms=now_ms,
        expires_ms=expires_ms,
        label=label,
    )
    with _lock(file):
        _write(file, [*read_keys(file), record])
    return key, record


def revoke_key(file: Path, ident: str, *, now_ms: int) -> KeyRecord | None:
    """The key's record, revoked from now on; None if there is no such key.

    The record stays: a server whose last key is revoked must not think that it never had one.
    """
    with _lock(file):
        records = read_keys(file)
        found = next((record for record in records if record.id == ident), None)
        if found is None or found.revoked_ms is not None:
            return found
        revoked = found.model_copy(update={"revoked_ms": now_ms})
        _write(file, [revoked if record is found else record for record in records])
    return revoked


def _lock(file: Path) -> AbstractContextManager[None]:
    """For its only writer."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return locked(file.with_name(f"{file.name}.lock"))


def _write(file: Path, records: Sequence[KeyRecord]) -> None:
    write_file(file, "".join(record.model_dump_json() + "\n" for record in records))


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
        """Returns the principal of this key. Raises CredentialInvalid or CredentialExpired."""
        self._refresh()
        record = self._records.get(id_of(key) or "")
        if record is None or not record.fits(key):
            raise CredentialInvalid("this API key is not known here")
        return self._vouched(record)

    def principal_of(self, ident: str) -> Principal:
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
