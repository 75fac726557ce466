"""Calls through a real TURN server, coturn: the caller's, and the one that a setting gives the server."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from aioice.turn import TurnTransport
from aiortc import RTCConfiguration, RTCIceServer, RTCIceTransportPolicy, RTCSessionDescription
from pydantic import SecretStr

from deployments.faces.realtime.webrtc import ice_agent
from schemas.settings.limit_settings import WebRtcSettings
from tests.deployments.realtime.call_client import Caller, calling
from tests.support.eventlog.log_events import wait_for
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio
_USER: Final = "caller"
_SECRET: Final = "not a secret"


@pytest.fixture(scope="module")
def turn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a TURN server that relays on loopback, for one user with a password."""
    program = shutil.which("turnserver")
    if program is None:
        pytest.skip("coturn is not installed")
    home: Path = tmp_path_factory.mktemp("turn")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    addresses = [f"--listening-port={port}", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1"]
    users = ["--lt-cred-mech", f"--user={_USER}:{_SECRET}", "--realm=test", "--allow-loopback-peers"]
    files = ["--log-file=stdout", f"--pidfile={home}/pid", f"--userdb={home}/users"]
    alone = ["-n", "--no-cli", "--no-tls", "--no-dtls", "--relay-threads=1"]
    with (home / "output.txt").open("w") as output:
        server = subprocess.Popen([program, *alone, *addresses, *users, *files], stdout=output, stderr=output)
        try:
            wait_for(lambda: listens(port))
            yield f"turn:127.0.0.1:{port}?transport=udp"
        finally:
            server.terminate()
            server.wait(10)


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def relays(caller: Caller) -> bool:
    """Whether what the caller sends goes by its TURN server."""
    assert caller.peer.sctp is not None
    pair = caller.peer.sctp.transport.transport._connection._nominated[1]
    return isinstance(pair.protocol.transport, TurnTransport)


async def test_a_caller_that_may_only_be_relayed_reads_and_hears_the_answer(
    app: RunningApp, turn: str
) -> None:
    servers = [RTCIceServer(turn, _USER, _SECRET)]
    policy = RTCConfiguration(servers, iceTransportPolicy=RTCIceTransportPolicy.RELAY)
    async with calling(app, configuration=policy) as caller:
        await caller.say("echo")
        await caller.event("output_audio_buffer.stopped")
        told = caller.told("response.output_audio_transcript.delta")
        assert "".join(event["delta"] for event in told) == "You said so."
        assert any(caller.loud())
        assert relays(caller)


async def test_a_setting_gives_the_server_an_address_at_its_turn_server(turn: str) -> None:
    settings = WebRtcSettings(turn=turn, turn_username=_USER, turn_credential=SecretStr(_SECRET))
    caller, peer = Caller(), ice_agent.new_peer(settings)
    try:
        await peer.setRemoteDescription(RTCSessionDescription(await caller.offer(), "offer"))
        ice_agent.bind_to_configured(peer, settings)
        await peer.setLocalDescription()
        answer = peer.localDescription.sdp
    finally:
        await peer.close()
        await caller.leave()
    lines = [line for line in answer.splitlines() if line.startswith("a=candidate")]
    assert {line.split()[7] for line in lines} == {"host", "relay"}
