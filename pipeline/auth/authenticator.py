"""The authenticator: the one place that turns a credential into a principal. Knows no HTTP."""

from ipaddress import ip_address
from pathlib import Path
from typing import Final

from pipeline.auth.api_keys import PREFIX, ApiKeyStore, read_keys
from pipeline.auth.principals import NOBODY, Principal
from pipeline.auth.tokens import SECRET, Tokens, own_secret
from pipeline.core.clock import Clock
from schemas.errors.access_errors import AccessError, CredentialExpired, CredentialInvalid, Unauthenticated
from schemas.settings.access_settings import AuthSettings

KEYS_FILE: Final = "keys.jsonl"
_LONGEST: Final = 4_096


class Authenticator:
    """Open to everybody on this machine, or closed to all who have no credential."""

    def __init__(self, settings: AuthSettings, home: Path, clock: Clock) -> None:
        """Raises KeyFileDamaged or OSError: without knowing the keys nobody can be let in."""
        self._settings = settings
        self._clock = clock
        self._api_keys = ApiKeyStore(keys_file(settings, home), clock)
        secret = settings.jwt_secret
        self.tokens = Tokens(
            settings, own_secret(home) if secret is None else secret.get_secret_value(), self._api_keys, clock
        )

    @property
    def open(self) -> bool:
        """True if no credential is needed. A server closed for a key stays closed when the key goes."""
        if self._settings.open is not None:
            return self._settings.open
        return not (_expects_credentials(self._settings) or self._api_keys.had_keys)

    def admit(self, credential: str | None, *, shown: bool = False) -> Principal:
        """Returns the principal. `shown`: the credential stood where others can read it, as in an address.

        Raises Unauthenticated or one of its kinds.
        """
        if self.open:
            return self._visitor(credential)
        if not credential:
            raise Unauthenticated("this server wants to know who asks: send an API key or a token")
        return self._known(credential, shown=shown)

    def renew(self, credential: str | None, *, shown: bool = False) -> Principal:
        """Returns the principal of a renewal, which is good for the next token only. Raises as `admit`."""
        if self.open:
            return NOBODY
        if not credential or shown or len(credential) > _LONGEST:
            raise Unauthenticated("a renewal belongs here, in the header Authorization")
        return self.tokens.read_renewal(credential)

    def revalidate(self, principal: Principal) -> None:
        """Returns if what vouches for a principal is still good. Raises as `admit`.

        A token that was made of a key may end: the key is what is looked at.
        """
        if principal.key:
            self._api_keys.principal_of(principal.key)
        elif principal.expires_ms is not None and self._clock.now_ms() >= principal.expires_ms:
            raise CredentialExpired("this token has expired")
        elif not principal.name and not self.open:
            raise Unauthenticated("this server asks for keys by now")

    def _known(self, credential: str, *, shown: bool) -> Principal:
        if len(credential) > _LONGEST:
            raise CredentialInvalid("this is longer than any credential of ours")
        if credential.startswith(SECRET):
            principal = self.tokens.read_secret(credential)
            if not principal.name:
                raise CredentialInvalid("this client secret was made while this server asked nobody for keys")
            return principal
        if not credential.startswith(PREFIX):
            return self.tokens.read(credential)
        if shown:
            raise CredentialInvalid("an API key does not belong into an address; make a token of it")
        return self._api_keys.check(credential)

    def _visitor(self, credential: str | None) -> Principal:
        """On an open server a share link still means listening only, and a client secret a session of its
        configuration; any other credential means nothing."""
        if not credential or credential.startswith(PREFIX):
            return NOBODY
        if credential.startswith(SECRET):
            return self.tokens.read_secret(credential)
        try:
            principal = self._known(credential, shown=True)
        except AccessError:
            return NOBODY
        return NOBODY if principal.share is None else principal


def keys_file(settings: AuthSettings, home: Path) -> Path:
    return (settings.keys_file or home / KEYS_FILE).expanduser()


def _expects_credentials(settings: AuthSettings) -> bool:
    """The settings alone say that somebody can show one."""
    return any((settings.keys_file, settings.jwt_secret, settings.identity_provider))


def is_open(settings: AuthSettings, home: Path) -> bool:
    """Would a server that starts now be open? Raises KeyFileDamaged or OSError."""
    keys = read_keys(keys_file(settings, home))  # a server needs them, whatever the settings say
    return not (keys or _expects_credentials(settings)) if settings.open is None else settings.open


def is_loopback(host: str) -> bool:
    """Does this name or address mean this machine, and cannot be reached from another?"""
    name = host.strip("[]").lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
