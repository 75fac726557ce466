"""Frames on connections between gateways and replicas: a length (4 bytes, big-endian), so many bytes."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final, cast

LENGTH: Final = 4
LARGEST: Final = 4 << 20
"""Bytes of a frame; whoever announces more is no process of ours."""
_ALIVE: Final = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 2, "TCP_USER_TIMEOUT": 10_000}
"""Seconds, times, and milliseconds after which what was sent and not taken ends the connection."""


class FrameProtocol(asyncio.Protocol):
    """One end of a connection. It is closed at the first thing that is not as it should be."""

    def __init__(self, take: Callable[[bytes], None], largest: int = LARGEST) -> None:
        """`take` raises ValueError or TypeError where it is given no frame of ours."""
        self.take = take
        self.largest = largest
        self.transport: asyncio.Transport | None = None
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A machine that has gone, or a way that was forgotten in between, is noticed within seconds."""
        self.transport = cast(asyncio.Transport, transport)
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _ALIVE.items():
            if (option := getattr(socket, name, None)) is not None:  # Linux has all of them
                connection.setsockopt(socket.IPPROTO_TCP, option, value)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        data, at = self._rest + data if self._rest else data, 0
        while len(data) - at >= LENGTH:
            size = int.from_bytes(data[at : at + LENGTH], "big")
            if size > self.largest:
                return self.close()
            end = at + LENGTH + size
            if end > len(data):
                break
            try:
                self.take(data[at + LENGTH : end])
            except (ValueError, TypeError):
                return self.close()
            at = end
        self._rest = data[at:]
