"""Exposure check: a server that other machines can reach must ask for keys."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from cluster.terminal.cli_errors import UsageError
from pipeline.auth.api_keys import KeyFileDamaged
from pipeline.auth.authenticator import is_loopback, is_open
from schemas.settings import AppSettings

if TYPE_CHECKING:
    from cluster.checks.config import (
        Config,  # knows Ray, which `up` may import only when its variables are set
    )

OPEN: Final = (
    "No sign-in: everybody on this machine may use it and read everything. "
    "To ask who they are: rhapsode keys create --principal NAME"
)
_ADVICE: Final = (
    "Make a key first (rhapsode keys create --principal NAME), or stay on this machine (--host 127.0.0.1)."
)


def is_open_to_all(settings: AppSettings, home: Path) -> bool:
    """Tells whether the server asks for no credentials. Raises UsageError where the keys cannot be read."""
    try:
        return is_open(settings.auth, home)
    except (KeyFileDamaged, OSError) as error:
        advice = "Correct the file, or move it away."
        raise UsageError(f"The keys cannot be read: {error}.", advice) from error


def refuse_exposure(settings: AppSettings, home: Path, host: str) -> None:
    """Raises CliError if the server would listen beyond this machine and ask nobody who they are."""
    if not is_loopback(host) and is_open_to_all(settings, home):
        raise UsageError(
            f"{host} can be reached from other machines, and there is no API key: everybody could use it "
            "and read everything.",
            _ADVICE,
        )


def check(config: "Config") -> str:
    """Returns warnings about a file's own addresses. Raises CliError for those that must not be."""
    settings = config.settings
    home = settings.home.expanduser()
    if config.serve.proxy_location == "EveryNode":
        return "for several nodes, each of which looks for its own keys"
    hosts = [config.serve.http_options.host]
    if settings.gateway.direct_port is not None:
        hosts.append(settings.gateway.direct_host)
    for host in hosts:
        refuse_exposure(settings, home, host)
    return "open to everybody on this machine" if is_open_to_all(settings, home) else "asks for keys"
