"""Signed tokens: ours for browsers and for share links, those of an identity provider, and the key."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import jwt
from pydantic import TypeAdapter, ValidationError

from pipeline.auth.api_keys import ApiKeyStore, PrincipalName
from pipeline.auth.principals import USER, Principal, Role
from pipeline.core.clock import Clock
from schemas.errors.access_errors import CredentialExpired, CredentialInvalid, Forbidden
from schemas.ids import SessionId
from schemas.settings.access_settings import AuthSettings, IdentityProviderSettings

ISSUER: Final = "rhapsode"
ACCESS: Final = "rhapsode:access"
SHARE: Final = "rhapsode:share"
RENEWAL: Final = "rhapsode:renewal"
REALTIME: Final = "rhapsode:realtime"
TELEPHONE: Final = "rhapsode:telephone"
SECRET: Final = "ek_"
"""Prefix of client secrets, as with OpenAI."""
_OURS: Final = "HS256"
_ADMIN: Final[frozenset[Role]] = frozenset({"user", "admin"})
_NAME: Final[TypeAdapter[str]] = TypeAdapter(PrincipalName)


class Tokens:
    """Makes and reads tokens. The server chooses how a token is checked, never the token alone."""

    def __init__(self, settings: AuthSettings, secret: str, ring: ApiKeyStore, clock: Clock) -> None:
        """Raises OSError where the identity provider's key cannot be read."""
        self._settings = settings
        self._secret = secret
        self._api_keys = ring
        self._clock = clock
        provider = settings.identity_provider
        self._provider_key = "" if provider is None else provider.public_key_file.read_text("ascii")

    def make(self, principal: Principal) -> tuple[str, int]:
        """A token for who has shown an API key, and for how many seconds it is good.

        It names the key, so that it is worth no more than that. Raises Forbidden without a key.
        """
        return self._of_key(principal, ACCESS, self._settings.token_ttl_s)

    def make_renewal(self, principal: Principal) -> tuple[str, int]:
        """As `make`; it opens nothing, and is only good for the next token."""
        return self._of_key(principal, RENEWAL, self._settings.renewal_ttl_s)

    def _of_key(self, principal: Principal, audience: str, ttl_s: int) -> tuple[str, int]:
        if not principal.key or principal.token:
            raise Forbidden("tokens are made from API keys")
        now = self._clock.now_ms() // 1_000
        claims = {"sub": principal.name, "key": principal.key, "iat": now, "exp": now + ttl_s}
        return self._sign({**claims, "aud": audience}), ttl_s

    def make_share(self, session: SessionId, share: str, expires_ms: int | None) -> str:
        """Signs the content of a share link. The session's log says whether the share is still valid."""
        claims: dict[str, Any] = {"sub": session, "jti": share, "aud": SHARE}
        if expires_ms is not None:
            claims["exp"] = -(-expires_ms // 1_000)
        return self._sign(claims)

    def make_secret(self, principal: Principal, name: str, ttl_s: int) -> tuple[str, int]:
        """A client secret of this name, and when it expires (seconds since the epoch): never later than what
        vouches for the principal."""
        end = self._clock.now_ms() // 1_000 + ttl_s
        if principal.expires_ms is not None:
            end = min(end, principal.expires_ms // 1_000)
        claims: dict[str, Any] = {"sub": principal.name, "jti": name, "aud": REALTIME, "exp": end}
        if principal.key:
            claims["key"] = principal.key
        return SECRET + self._sign(claims), end

    def read_secret(self, secret: str) -> Principal:
        """Returns a principal that may open a Realtime session, and nothing else. Raises as `read`."""
        try:
            token = secret.removeprefix(SECRET)
            claims = self._decode(token, [REALTIME], require=["aud", "exp", "sub", "jti"])
            if "key" in claims:
                return replace(
                    self._api_keys.principal_of(claims["key"]), roles=USER, token=True, secret=claims["jti"]
                )
            expires_ms = _end(claims) if claims["sub"] else None
            return Principal(claims["sub"], token=True, secret=claims["jti"], expires_ms=expires_ms)
        except jwt.ExpiredSignatureError as error:
            raise CredentialExpired("this client secret has expired") from error
        except (jwt.PyJWTError, TypeError) as error:
            raise CredentialInvalid("this is no client secret of ours") from error

    def make_call(self, claims: Mapping[str, str], ttl_s: int) -> str:
        """A token with which one media stream of a call by telephone may be connected; see `read_call`."""
        end = self._clock.now_ms() // 1_000 + ttl_s
        return self._sign({**claims, "aud": TELEPHONE, "exp": end})

    def read_call(self, token: str) -> Mapping[str, str]:
        """Returns the claims that the token was made of. Raises CredentialInvalid or CredentialExpired."""
        try:
            return self._decode(token, [TELEPHONE], require=["aud", "exp", "sub", "jti"])
        except jwt.ExpiredSignatureError as error:
            raise CredentialExpired("this token of a call has expired") from error
        except jwt.PyJWTError as error:
            raise CredentialInvalid("this is no token of a call") from error

    def read(self, token: str) -> Principal:
        """Returns the principal of this token. Raises CredentialInvalid or CredentialExpired."""
        try:
            algorithm = jwt.get_unverified_header(token)["alg"]
            provider = self._settings.identity_provider
            if provider is not None and algorithm == provider.algorithm:
                return self._of_provider(token, provider)
            return self._of_ours(token)
        except jwt.ExpiredSignatureError as error:
            raise CredentialExpired("this token has expired") from error
        except (jwt.PyJWTError, ValidationError, KeyError, TypeError) as error:
            raise CredentialInvalid("this token is not good") from error

    def read_renewal(self, token: str) -> Principal:
        """Returns the principal of the next token, as if the key were shown again. Raises as `read`."""
        try:
            claims = self._decode(token, [RENEWAL], require=["aud", "exp", "key"])
            return self._api_keys.principal_of(claims["key"])
        except jwt.ExpiredSignatureError as error:
            raise CredentialExpired("it was too long ago that the key was shown; show it again") from error
        except (jwt.PyJWTError, TypeError) as error:
            raise CredentialInvalid("this is no renewal of ours") from error

    def _sign(self, claims: Mapping[str, Any]) -> str:
        return jwt.encode({"iss": ISSUER, **claims}, self._secret, algorithm=_OURS)

    def _of_ours(self, token: str) -> Principal:
        claims = self._decode(token, [ACCESS, SHARE], require=["sub", "aud"])
        if claims["aud"] not in (ACCESS, SHARE):
            raise jwt.InvalidAudienceError("must be one of ours, alone")
        if claims["aud"] == SHARE:
            share = str(claims["jti"])
            return Principal(f"~{share}", share=(claims["sub"], share))
        if "exp" not in claims:
            raise jwt.MissingRequiredClaimError("exp")
        if "key" in claims:
            return replace(self._api_keys.principal_of(claims["key"]), token=True)
        name = _NAME.validate_python(claims["sub"])
        return Principal(name, _roles(claims.get("roles")), token=True, expires_ms=_end(claims))

    def _decode(self, token: str, audience: list[str], *, require: list[str]) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            self._secret,
            algorithms=[_OURS],
            audience=audience,
            issuer=ISSUER,
            options={"require": require},
        )
        return claims

    def _of_provider(self, token: str, provider: IdentityProviderSettings) -> Principal:
        claims = jwt.decode(
            token,
            self._provider_key,
            algorithms=[provider.algorithm],
            audience=provider.audience,
            issuer=provider.issuer,
            options={"require": ["sub", "aud", "iss", "exp"]},
        )
        roles = claims.get(provider.roles_claim) if provider.roles_claim else None
        name = _NAME.validate_python(claims["sub"])
        return Principal(name, _roles(roles), token=True, expires_ms=_end(claims))


def _end(claims: Mapping[str, Any]) -> int:
    return int(claims["exp"]) * 1_000


def _roles(claimed: Any) -> frozenset[Role]:
    return _ADMIN if isinstance(claimed, list) and "admin" in claimed else USER


_BYTES: Final = 48


def own_secret(home: Path) -> str:
    """The secret of this home. It appears whole or not at all, so that all processes see the same."""
    place = home / "secret"
    if not place.exists():
        _make(place)
    return place.read_text(encoding="ascii")


def _make(place: Path) -> None:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = place.with_name(f"{place.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as out:
            out.write(secrets.token_urlsafe(_BYTES))
        os.link(fresh, place)
    except FileExistsError:
        return  # another process was quicker: its secret counts
    finally:
        fresh.unlink()
