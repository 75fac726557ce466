"""Settings of who may do what: keys, tokens, origins, and how much one principal may ask for."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from schemas.document_models import ClosedModel


class IdentityProviderSettings(ClosedModel):
    """Identity provider whose signed tokens are accepted."""

    public_key_file: Path
    """The provider's public key, PEM."""
    algorithm: Literal["RS256", "ES256", "EdDSA"] = "RS256"
    issuer: str = Field(min_length=1)
    """Must be the token's `iss`."""
    audience: str = Field(min_length=1)
    """Must be among the token's `aud`."""
    roles_claim: str | None = None
    """A claim with a list of roles; "admin" in it makes an administrator. None: nobody from there is one."""


class AuthSettings(ClosedModel):
    """Authentication. Keys are no settings: `rhapsode keys create` makes them, a file keeps their hashes."""

    keys_file: Path | None = None
    """None: `keys.jsonl` under `home`, where `rhapsode keys create` puts the first key."""
    jwt_secret: SecretStr | None = None
    """Signs our tokens and share links, where servers on several machines must agree. None: a secret of its
    own, made once under `home`."""
    identity_provider: IdentityProviderSettings | None = None
    token_ttl_s: int = Field(default=900, ge=10, le=86_400)
    """How long a token is good that was made from a key."""
    renewal_ttl_s: int = Field(default=43_200, ge=60, le=30 * 86_400)
    """How long after its last token a browser can have another one without showing the key again."""
    allowed_origins: tuple[str, ...] = ()
    """Pages from elsewhere that may call us, as https://example.org; our own pages always may."""
    open: bool | None = None
    """Ask nobody who they are, and answer this machine alone. None: as long as there are no keys."""

    @field_validator("jwt_secret")
    @classmethod
    def _hard_to_guess(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value().encode()) < 32:
            raise ValueError("must have 32 bytes or more")
        return secret

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or f"{parts.scheme}://{parts.netloc}" != origin:
                raise ValueError(f"{origin!r} is no origin; write it as https://example.org")
        return tuple(origin.lower() for origin in origins)


class PrincipalLimits(ClosedModel):
    """How much one principal may ask for; more is refused with 429 and when to come back. None: no limit.

    Unused allowance is kept up to one period's worth, so that a burst as large as the limit always passes.
    """

    sessions_per_hour: int | None = Field(default=600, ge=1)
    """Sessions and stories created: `limit.sessions`."""
    turns_per_minute: int | None = Field(default=120, ge=1)
    """`limit.turns`."""
    chars_per_minute: int | None = Field(default=1_000_000, ge=1)
    """Characters of prompts and texts: `limit.characters`. A longer one needs all of a minute's allowance."""
    audio_minutes_per_hour: int | None = Field(default=600, ge=1)
    """Minutes of speech made: `limit.audio`. Counted when a turn is over; what was begun is finished."""
    heard_minutes_per_hour: int | None = Field(default=1_200, ge=1)
    """Minutes of microphones and recordings that are written down, comparisons included: `limit.heard`."""
    file_minutes_per_hour: int | None = Field(default=6_000, ge=1)
    """Minutes of speech fetched as files (`GET .../audio`) and in exports: `limit.files`. An export counts as
    a minute at least."""
    searches_per_minute: int | None = Field(default=240, ge=1)
    """Questions to collections of documents: `limit.searches`."""
    uploads: int | None = Field(default=16, ge=1)
    """Recordings, documents and bundles that arrive or wait at the same time, in each replica:
    `limit.uploads`."""
    arriving_bytes: int | None = Field(default=1_024 * 1_024 * 1_024, ge=1_000)
    """Bytes on the replica's disk for all of them: `limit.uploads`."""
    written_mb_per_hour: int | None = Field(default=512, ge=1)
    """Megabytes of commands, settings, items, forks and imports written into the log: `limit.bytes`."""
    stored_mb: int | None = Field(default=512, ge=1)
    """Megabytes of sessions that the log holds and the archive does not hold whole yet, and of client secrets
    that have not expired; more is refused with 409 `quota.stored` until sessions are deleted, or have ended
    and are archived. Never more than half of `log.max_memory_mb` with the embedded server of the log."""
    listeners: int | None = Field(default=200, ge=1)
    """Sockets, event streams and downloads at the same time, in each replica: `limit.listeners`."""
    held_bytes: int | None = Field(default=64 * 1_024 * 1_024, ge=1_000)
    """Bytes of long sessions' events that Realtime connections, lists and files which are being sent hold in
    each replica: `limit.listeners`. The first is always taken. An application with one key for all of its
    users may need more; in memory it is up to 18 times as much."""


NO_LIMITS = PrincipalLimits(
    sessions_per_hour=None,
    turns_per_minute=None,
    chars_per_minute=None,
    audio_minutes_per_hour=None,
    heard_minutes_per_hour=None,
    file_minutes_per_hour=None,
    searches_per_minute=None,
    uploads=None,
    arriving_bytes=None,
    written_mb_per_hour=None,
    stored_mb=None,
    listeners=None,
    held_bytes=None,
)
