"""After the run: what somebody was still doing when the grace was over is done again, and blames nobody."""

import asyncio
from typing import cast

import pytest

from loadtests.client.api_connection import ApiConnection, Failed
from loadtests.client.caller_record import CallerRecord
from loadtests.client.received_events import fingerprint
from loadtests.runner.open_loop import audit, settle
from tests.loadtests.altered_streams import noted, stream

pytestmark = pytest.mark.anyio
FRAMES = stream(["I am here. "], [[40]])


class Slow:
    """Deletes at once, and answers only when it is let."""

    def __init__(self, *, arrives: bool) -> None:
        self.arrives = arrives
        self.gone = False
        self.asked = 0

    async def log(self, session: str) -> dict[int, int]:
        if self.gone:
            raise Failed("session.gone")
        return {event["seq"]: fingerprint(event) for event, _ in FRAMES}

    async def delete(self, session: str) -> None:
        self.asked += 1
        if self.gone:
            raise Failed("session.gone")
        if self.asked == 1:
            self.gone = self.arrives
            await asyncio.Event().wait()
        self.gone = True


@pytest.mark.parametrize("arrives", [True, False], ids=["was done", "was never heard"])
async def test_a_deletion_that_was_cut_off_is_no_fault_of_the_system(arrives: bool) -> None:
    slow = Slow(arrives=arrives)
    authenticator = cast(ApiConnection, slow)
    visit = CallerRecord(0, "chat", 0.0, heard=[("session", noted(FRAMES))])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await settle(authenticator, visit, compared=True, keep=False)
    assert not visit.settled
    await audit(authenticator, [visit], 9, keep=False)
    assert (visit.settled, visit.compared, visit.differing, visit.undeleted) == (True, 1, [], 0)
    assert slow.gone


async def test_a_session_that_somebody_else_deleted_is_told() -> None:
    slow = Slow(arrives=True)
    slow.gone = True
    visit = CallerRecord(0, "chat", 0.0, heard=[("session", noted(FRAMES))])
    await settle(cast(ApiConnection, slow), visit, compared=True, keep=False)
    assert (len(visit.differing), visit.undeleted) == (1, 1)
