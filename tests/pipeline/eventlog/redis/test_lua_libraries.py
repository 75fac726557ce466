"""The server functions as a released thing: pinned, loaded when missing, and not mixed up."""

from hashlib import sha256
from pathlib import Path

import pytest

from pipeline.eventlog.redis.redis_log import LIBRARIES, LIBRARY, LIBRARY_NAME, RedisEventLog
from schemas.ids import Seq, new_session_id
from tests.support.eventlog.log_events import batch, creation, delta, raw

RELEASED = {
    "rhapsode2": "ed1e94f3544fe413",
    "rhapsode_workers3": "d5bbe2ba8c9c7077",
    "rhapsode_archive2": "55c94210e5ba2303",
    "rhapsode_limits3": "3de5ed9ee47a4113",
}
"""Changed the code? Then give it, its functions and its name the next number, and change the line here."""


def test_released_code_does_not_change_under_its_name() -> None:
    for name, code in LIBRARIES.items():
        assert f"#!lua name={name}\n" in code
    assert {name: sha256(code.encode()).hexdigest()[:16] for name, code in LIBRARIES.items()} == RELEASED


@pytest.mark.anyio
async def test_functions_that_vanish_are_loaded_again(log: RedisEventLog, home: Path) -> None:
    session = new_session_id()
    await log.append([creation(session)])
    with raw(home) as server:
        server.function_flush()
    await log.append([batch(session, 1, delta(0)), batch(session, 1, delta(1), producer="q")])
    assert [event.seq for event in await log.read(session, Seq(0))] == [1, 2, 3]


@pytest.mark.anyio
async def test_the_log_s_own_code_is_what_runs(log: RedisEventLog, home: Path) -> None:
    await log.ping()
    with raw(home) as server:
        server.function_load(LIBRARY + "\n-- somebody's own", replace=True)
        server.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await log.append([creation(new_session_id())])
        [found] = server.function_list(LIBRARY_NAME, withcode=True)
    assert LIBRARY.encode() in found
