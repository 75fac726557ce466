"""Client secrets in the log's server: what is kept of them, for how long, and what an erasure leaves."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from pipeline.admission.storage_quota import Stored
from pipeline.auth.authenticator import Authenticator
from pipeline.auth.client_secrets import ClientSecrets, erase_secrets
from pipeline.auth.principals import Principal
from pipeline.eventlog.open_log import open_hot_log
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.eventlog.redis.redis_log import RedisEventLog
from schemas.errors.access_errors import CredentialExpired
from schemas.settings import LogSettings
from schemas.settings.access_settings import AuthSettings
from tests.support.clocks import Hours

pytestmark = pytest.mark.anyio
ANNA, BEN = Principal("anna"), Principal("ben")
LONGEST_S = 7_200


@pytest.fixture
async def log(tmp_path: Path) -> AsyncGenerator[RedisEventLog, None]:
    embedded_server.ensure(tmp_path, LogSettings())
    opened = open_hot_log(LogSettings(), tmp_path)
    yield opened
    await opened.aclose()
    embedded_server.stop(tmp_path)


@pytest.fixture
def clock() -> Hours:
    return Hours()


@pytest.fixture
def client_secrets(log: RedisEventLog, tmp_path: Path, clock: Hours) -> ClientSecrets:
    return ClientSecrets(log, Authenticator(AuthSettings(), tmp_path, clock).tokens, clock)


async def names_kept(log: RedisEventLog) -> int:
    """Names of secrets that the server keeps, of all principals."""
    [keys] = await log.call(("KEYS", "ev:secrets:*"))
    return sum(await log.call(*(("ZCARD", key) for key in keys)))


async def test_names_of_secrets_that_have_expired_are_forgotten_although_new_ones_are_made(
    log: RedisEventLog, client_secrets: ClientSecrets, clock: Hours
) -> None:
    """A server that makes a secret for each of its visitors never lets its set of names expire."""
    for _ in range(10):
        await client_secrets.make(ANNA, {}, ttl_s=60)
        await clock.sleep(LONGEST_S / 2)
    assert await names_kept(log) <= 3


async def test_secrets_count_as_stored_bytes_until_they_expire(
    log: RedisEventLog, client_secrets: ClientSecrets
) -> None:
    for _ in range(3):
        await client_secrets.make(ANNA, {"instructions": "a" * 1_000}, ttl_s=600)
    _, _, short = await client_secrets.make(ANNA, {"instructions": "a" * 1_000}, ttl_s=600)
    await log.call(("PEXPIRE", f"ev:secret:{short}", 0))
    stored = Stored(log)
    assert 3_000 < (await stored.count(ANNA.name)).total < 3_200
    assert (await stored.count(BEN.name)).total == 0


async def test_an_erasure_erases_all_secrets_of_one_principal_and_none_of_another(
    log: RedisEventLog, client_secrets: ClientSecrets, clock: Hours
) -> None:
    hers = []
    for ttl_s in (LONGEST_S, 60):
        hers.append((await client_secrets.make(ANNA, {"instructions": "Hers."}, ttl_s=ttl_s))[2])
        await clock.sleep(30)
    _, _, his = await client_secrets.make(BEN, {"instructions": "His."}, ttl_s=60)
    await erase_secrets(log, ANNA.name)
    await erase_secrets(log, ANNA.name)  # sound to call again
    for name in hers:
        with pytest.raises(CredentialExpired):
            await client_secrets.config(name)
    assert await client_secrets.config(his) == {"instructions": "His."}
    assert await names_kept(log) == 1
