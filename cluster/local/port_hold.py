"""The port that one system has to itself, although its gateways share it."""

import fcntl
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from cluster.terminal.cli_errors import CliError

_PORTS_TRIED: Final = 50
_LOCKS: Final = Path("/tmp")
"""The same for everybody, whatever TMPDIR says: two systems must meet here."""


@contextmanager
def held_port(host: str, wished: int, *, insist: bool) -> Generator[int, None, None]:
    """`wished`, or the next free port where nobody insists on it; ours within the block.

    Raises CliError when there is none.
    """
    for port in range(wished, wished + (1 if insist else _PORTS_TRIED)):
        with _claim(port) as ours, suppress(_InUse):
            if ours:
                with _hold(host, port):
                    yield port
                return
    if insist:
        raise CliError(f"Port {wished} is in use.", "Choose another one, or leave --port out.")
    raise CliError(f"The ports from {wished} on are all in use.", "Choose one with --port.")


class _InUse(Exception):
    """Another process listens on the port."""


@contextmanager
def _claim(port: int) -> Generator[bool, None, None]:
    """The kernel would let another system of the same user in: the gateways of both would share the port."""
    folder = _LOCKS / f"rhapsode-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(folder / f"port-{port}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CliError(f"{folder} cannot be written to.", "Remove it, or make it yours.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        yield False
        return
    try:
        yield True
    finally:
        os.close(descriptor)


@contextmanager
def _hold(host: str, port: int) -> Generator[None, None, None]:
    """Keep the port for our gateways, also while the only one of them is being replaced.

    A socket that does not listen gets no connections, and those that share the port with it do.
    Raises _InUse.
    """
    with socket.socket() as probe, socket.socket() as held:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.close()
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held.bind((host, port))
        except PermissionError as error:
            raise CliError(f"Port {port} needs root.", "Choose one above 1023 with --port.") from error
        except socket.gaierror as error:
            raise CliError(f"{host} is no address of this machine.", "Try --host 127.0.0.1.") from error
        except OSError as error:
            raise _InUse from error
        yield
