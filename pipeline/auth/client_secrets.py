"""Client secrets of the Realtime API: what a session is to be that is opened with one."""

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any, Final, cast

import orjson

from pipeline.auth.principals import Principal
from pipeline.auth.tokens import Tokens
from pipeline.core.clock import Clock
from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.errors.access_errors import CredentialExpired

_KEY: Final = "ev:secret:"
_NAME_BYTES: Final = 16
_PAGE: Final = 500
_LONGEST_S: Final = 7_200
"""The longest life of a secret (schemas.realtime.client_events)."""


def _names(principal: str) -> str:
    """Key of the sorted set of names of one principal's secrets, by when they were made."""
    return f"ev:secrets:{hashlib.blake2b(principal.encode(), digest_size=12).hexdigest()}"


async def erase_secrets(log: RedisEventLog, principal: str) -> None:
    """Nothing opens with the principal's secrets any more, and what they say is gone. Raises LogError."""
    names = _names(principal)
    [found] = await log.call(("ZRANGE", names, 0, -1))
    if found:
        await log.call(*(("UNLINK", f"{_KEY}{name.decode()}") for name in found), ("ZREM", names, *found))


async def secret_bytes(log: RedisEventLog, principal: str) -> int:
    """Bytes that the principal's secrets take in the log's server. Raises LogError."""
    [names] = await log.call(("ZRANGE", _names(principal), 0, -1))
    size = 0
    for at in range(0, len(names), _PAGE):
        size += sum(
            await log.call(*(("STRLEN", f"{_KEY}{name.decode()}") for name in names[at : at + _PAGE]))
        )
    return size


class ClientSecrets:
    """On the log's server, which forgets them when their time is over; so that all replicas know them."""

    def __init__(self, log: RedisEventLog, tokens: Tokens, clock: Clock) -> None:
        self._log = log
        self._tokens = tokens
        self._clock = clock

    async def make(
        self, principal: Principal, config: Mapping[str, Any], *, ttl_s: int
    ) -> tuple[str, int, str]:
        """The secret, when it expires (seconds since the epoch), and its name, which is no secret."""
        name = secrets.token_hex(_NAME_BYTES)
        value, expires_at = self._tokens.make_secret(principal, name, ttl_s)
        names, now_s = _names(principal.name), self._clock.now_ms() // 1_000
        await self._log.call(
            ("ZREMRANGEBYSCORE", names, "-inf", now_s - _LONGEST_S),
            ("ZADD", names, now_s, name),
            ("EXPIRE", names, _LONGEST_S),
            ("SET", f"{_KEY}{name}", orjson.dumps(config), "EX", ttl_s),
        )
        return value, expires_at, name

    async def config(self, name: str) -> dict[str, Any]:
        """Raises CredentialExpired."""
        [found] = await self._log.call(("GET", f"{_KEY}{name}"))
        if found is None:
            raise CredentialExpired("this client secret has expired")
        return cast("dict[str, Any]", orjson.loads(found))
