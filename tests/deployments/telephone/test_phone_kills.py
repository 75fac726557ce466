"""Calls whose gateway dies or leaves: the provider asks again, and the next gateway goes on."""

from pathlib import Path

import pytest

from tests.deployments.telephone.conftest import phone_settings
from tests.deployments.telephone.phone_provider import FRAME, calling
from tests.deployments.telephone.test_phone_calls import ask, sound_ms
from tests.support.eventually import eventually
from tests.support.gateway_processes import Gateways

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("how", ["killed", "asked to leave"])
async def test_a_call_goes_on_when_its_gateway_is_gone(tmp_path: Path, how: str) -> None:
    with Gateways(phone_settings(tmp_path)) as gateways:
        first, second = gateways.start(2)
        async with calling(first, second, kind="telnyx", speed=1, pause_rate=1) as caller:
            await caller.connected()
            await caller.event("playback.ended")
            before = len(caller.played)
            turn = await ask(second, caller, "Who comes by?")
            await eventually(lambda: len(caller.played) >= before + 40 * FRAME)
            if how == "killed":
                gateways.kill(first)
            else:
                gateways.terminate(first)
            await eventually(lambda: caller.starts == 2)
            await caller.event("playback.ended", 2)
            whole = await sound_ms(caller, turn) * 8
            # The sound that was on its way is said again from the last mark that was recorded.
            assert whole <= len(caller.played) - before <= whole + 80 * FRAME
            connected = await caller.events("call.connected")
            assert len({one["data"]["call"] for one in connected}) == 1
            assert len({one["data"]["connection"] for one in connected}) == 2
            assert len(await caller.events("turn.completed")) == 2
