"""`rhapsode keys`: who may use the server. A key is shown once; its file keeps only hashes."""

import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from cluster.cli.command_help import ConfigFile, Json, Yes, confirm, say, show
from cluster.terminal import run_state
from cluster.terminal.cli_errors import CliError, UsageError
from pipeline.auth.api_keys import KeyFileDamaged, KeyRecord, PrincipalName, create_key, read_keys, revoke_key
from pipeline.auth.authenticator import keys_file
from pipeline.auth.principals import Role

app = typer.Typer(help="Who may use the server: make, list and revoke API keys.", no_args_is_help=True)

_NAME: Final[TypeAdapter[str]] = TypeAdapter(PrincipalName)
_SPAN: Final = re.compile(r"(\d{1,5})([hdw])")
T = TypeVar("T")
_UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}


@app.command()
def create(
    principal: Annotated[str, typer.Option(help="Whose key it is; several keys may be one principal's.")],
    role: Annotated[str, typer.Option(help="user or admin; an admin may read everything.")] = "user",
    expires: Annotated[
        str | None, typer.Option(help="As 12h, 30d, 8w or 2027-01-31; never if left out.")
    ] = None,
    label: Annotated[str, typer.Option(help="Something to recognise it by.")] = "",
    config: ConfigFile = None,
    first: Annotated[bool, typer.Option("--first", help="Make it only where there is no key yet.")] = False,
) -> None:
    """Make a key and print it, this once. A running server knows it within a second.

    Example: rhapsode keys create --principal anna --expires 30d
    """
    _check_name(principal)
    now_ms = time.time_ns() // 1_000_000
    file = file_of(config)
    if first and _with(file, lambda: read_keys(file)):
        return
    key, record = _with(
        file,
        lambda: create_key(
            file,
            principal,
            now_ms=now_ms,
            roles=_roles(role),
            expires_ms=_expiry(expires, now_ms),
            label=label,
        ),
    )
    note = f"Key {record.id} of {principal}; {file} has its hash. The key itself is shown only now:"
    to_script = not sys.stdout.isatty()  # which gets the key alone on standard output
    Console(stderr=to_script, soft_wrap=True).print(note, markup=False, highlight=False)
    say(key)


@app.command("list")
def list_(as_json: Json = False, config: ConfigFile = None) -> None:
    """List the keys, with what has become of them. Nothing here lets anybody in.

    Example: rhapsode keys list
    """
    file = file_of(config)
    records = _with(file, lambda: read_keys(file))
    shown = [record.model_dump(mode="json", exclude={"sha256"}) for record in records]
    nothing = "There are no keys: the server is open to everybody on its machine."
    show(shown, [*map(_line, records)] or [nothing], as_json=as_json)


@app.command()
def revoke(
    ident: Annotated[str, typer.Argument(metavar="ID", help="As rhapsode keys list shows it.")],
    config: ConfigFile = None,
    yes: Yes = False,
) -> None:
    """End a key, and every token made of it, on a running server within a second.

    Example: rhapsode keys revoke 3f9a01bc
    """
    confirm(f"End the key {ident}, and every token made of it?", yes=yes)
    file = file_of(config)
    now_ms = time.time_ns() // 1_000_000
    record = _with(file, lambda: revoke_key(file, ident, now_ms=now_ms))
    if record is None:
        raise UsageError(f"There is no key {ident}.", "See rhapsode keys list.")
    say(f"Key {ident} of {record.principal} is revoked.")


def file_of(config: Path | None) -> Path:
    """Returns the path of the key file of a server with this configuration."""
    from cluster.checks.config import current  # takes a second: it knows Ray

    return keys_file(current(config).settings.auth, run_state.home())


def _with(file: Path, work: Callable[[], T]) -> T:
    try:
        return work()
    except (KeyFileDamaged, OSError) as error:
        raise CliError(f"{file} cannot be used: {error}.", "Look at the file and its folder.") from error


def _check_name(principal: str) -> None:
    try:
        _NAME.validate_python(principal)
    except ValidationError as error:
        raise UsageError(
            f"{principal!r} is no principal's name.",
            "Take letters, digits and signs without spaces, a letter or digit first.",
        ) from error


def _roles(role: str) -> frozenset[Role]:
    if role == "admin":
        return frozenset({"user", "admin"})
    if role == "user":
        return frozenset({"user"})
    raise UsageError(f"There is no role {role!r}.", "There are user and admin.")


def _expiry(text: str | None, now_ms: int) -> int | None:
    """Milliseconds since the epoch; a date means its beginning, in UTC."""
    if text is None:
        return None
    try:
        if span := _SPAN.fullmatch(text):
            expires_ms = now_ms + int(timedelta(**{_UNITS[span[2]]: int(span[1])}).total_seconds() * 1_000)
        else:
            expires_ms = int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() * 1_000)
    except ValueError as error:
        raise UsageError(f"{text!r} is no time.", "Write 12h, 30d, 8w or 2027-01-31.") from error
    if expires_ms <= now_ms:
        raise UsageError(f"{text} is over already.")
    return expires_ms


def _line(record: KeyRecord) -> str:
    now_ms = time.time_ns() // 1_000_000
    status = "revoked" if record.revoked_ms else "expired" if record.expired(now_ms) else "good"
    until = "" if record.expires_ms is None else f"  until {_day(record.expires_ms)}"
    role = "admin" if "admin" in record.roles else "user"
    label = f"  {record.label}" if record.label else ""
    since = _day(record.created_ms)
    return f"{record.id}  {status:<8}{record.principal:<20}{role:<6}  since {since}{until}{label}"


def _day(millis: int) -> str:
    return datetime.fromtimestamp(millis / 1_000, UTC).strftime("%Y-%m-%d")
