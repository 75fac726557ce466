"""`rhapsode reload`, `deploy` and `drain`: changing what runs while it is used."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cluster.cli.command_help import Json, Url, running_at, say, show
from cluster.local import rollout
from cluster.terminal.cli_errors import UsageError
from cluster.terminal.console import Steps


def reload_config() -> None:
    """Read the configuration file again and change what has changed in it, one replica after the other.

    Turns that run go on, and who listens misses nothing. Address and port stay.

    Example: rhapsode reload
    """
    say(f"{rollout.ask_for_reload()} runs with the configuration as it is now.")


def deploy(
    file: Annotated[Path, typer.Argument(help="A configuration for a cluster, as cluster/cluster.yaml.")],
    address: Annotated[str, typer.Option(help="The cluster, as HOST:PORT; auto: this machine's.")] = "auto",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Also where Ray asks nobody for a token.")
    ] = False,
) -> None:
    """Check a configuration and deploy it onto a Ray cluster that runs already.

    Once more: what has changed is changed, one replica after the other.

    Example: rhapsode deploy cluster/cluster.yaml
    """
    from cluster.local import deploy as deploying

    deploying.run(file, address, Steps(Console(stderr=True)), insecure=insecure)
    say(f"{file} is deployed.")


def drain(
    names: Annotated[list[str] | None, typer.Argument(help="Gateways, as they are listed.")] = None,
    host: Annotated[str | None, typer.Option(help="All gateways of this machine.")] = None,
    release: Annotated[str | None, typer.Option(help="All gateways of this release.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Send gateways away: their turns are handed over and their listeners sent on. Without names: list them.

    Under Ray Serve a fresh gateway takes the place of one that has gone.

    Example: rhapsode drain --url http://rhapsode.example.org --release 2026-11
    """
    address = running_at(url)
    there = rollout.gateways(address)
    wanted = [
        one["gateway"]
        for one in there
        if one["gateway"] in (names or ()) or one["host"] == host or one["release"] == release
    ]
    if missing := set(names or ()) - set(wanted):
        raise UsageError(f"There is no gateway {', '.join(sorted(missing))}.", "See: rhapsode drain")
    if not wanted and (host is not None or release is not None):
        raise UsageError("No gateway is of that host or release.", "See: rhapsode drain")
    named = bool(names) or host is not None or release is not None
    if named:
        rollout.send_away(address, wanted, Steps(Console(stderr=True)))
    if as_json or not named:
        show(there, map(_line, there), as_json=as_json)


def _line(one: dict[str, Any]) -> str:
    state = f"leaving ({one['leaving']})" if one["leaving"] else one["saturated"] or "ready"
    work = f"{one['turns']} turns, {one['listeners']} listeners, {one['waiting']} waiting"
    release = f" {one['release']}" if one["release"] else ""
    return f"{one['gateway']}  {one['host']}{release}  {work}  {state}"
