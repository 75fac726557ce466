"""A gateway's own port: it takes connections as soon as the gateway is up, unless somebody else has it."""

import socket

import anyio
import httpx
import pytest
from fastapi import FastAPI

from deployments.web.direct_listener import listening
from loadtests.chaos.gateway_system import reserve_port
from pipeline.sessions.drain import Drain
from schemas.settings.limit_settings import GatewaySettings, LeavingSettings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The loop of the gateways, which keeps a listening socket open when its server's task is cancelled."""
    return "asyncio", {"use_uvloop": True}


def somebody() -> socket.socket:
    """Has a port that nobody else can have."""
    return socket.create_server(("127.0.0.1", 0))


async def test_whoever_comes_as_soon_as_it_is_up_is_let_in() -> None:
    with reserve_port() as reserved:
        port = reserved.getsockname()[1]
        async with listening(FastAPI(), GatewaySettings(direct_port=port), Drain(LeavingSettings())):
            # Nothing else of the loop has run in between.
            with socket.create_connection(("127.0.0.1", port)):
                pass


async def test_somebody_elses_port_is_waited_for_and_keeps_nobody_from_being_up() -> None:
    holder = somebody()
    port = holder.getsockname()[1]
    async with (
        listening(FastAPI(), GatewaySettings(direct_port=port), Drain(LeavingSettings())),
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", transport=httpx.AsyncHTTPTransport(retries=10), timeout=30
        ) as http,
    ):
        holder.close()
        assert (await http.get("/nowhere")).status_code == 404


async def test_a_gateway_of_which_a_part_breaks_takes_no_new_connection() -> None:
    with reserve_port() as reserved:
        port = reserved.getsockname()[1]
        with anyio.CancelScope() as part:
            async with listening(FastAPI(), GatewaySettings(direct_port=port), Drain(LeavingSettings())):
                part.cancel()  # so the others learn of it
                await anyio.sleep_forever()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
