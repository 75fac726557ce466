"""`rhapsode dead` and `rhapsode projections`: looking after what the workers could not do."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from cluster.cli.command_help import Json, Url, Yes, confirm, running_at, say, show
from cluster.terminal.requests import ask

_PAGE: Final = 200
_OPTIONS: Final[dict[str, Any]] = {"no_args_is_help": True, "rich_markup_mode": None}

dead = typer.Typer(
    help="Dead letters: events that an effect or a projection could not be done with.", **_OPTIONS
)
projections = typer.Typer(help="Views that workers keep from events.", **_OPTIONS)
Letter = Annotated[str, typer.Argument(help="Its id, as `rhapsode dead list` shows it.")]


@dead.command("list")
def dead_list(url: Url = None, as_json: Json = False) -> None:
    """Show every dead letter with what went wrong.

    Example: rhapsode dead list
    """
    letters = _letters(running_at(url))
    show(letters, [*map(_line, letters)] or ["There are no dead letters."], as_json=as_json)


@dead.command("retry")
def dead_retry(letter: Letter, url: Url = None) -> None:
    """Hand the event to its effect or projection again.

    Example: rhapsode dead retry 7.1763000000000-0
    """
    ask(running_at(url), "POST", f"/v1/dead-letters/{letter}/retry")
    say(f"{letter} is being tried again.")


@dead.command("drop")
def dead_drop(letter: Letter, url: Url = None, yes: Yes = False) -> None:
    """Give the event up, as far as this effect or projection is concerned.

    Example: rhapsode dead drop 7.1763000000000-0
    """
    confirm(f"Give {letter} up for good?", yes=yes)
    ask(running_at(url), "DELETE", f"/v1/dead-letters/{letter}")
    say(f"{letter} is dropped.")


@projections.command("rebuild")
def projections_rebuild(
    name: Annotated[str, typer.Argument(help="As `rhapsode status` shows it.")], url: Url = None
) -> None:
    """Make a view anew from the log, while it stays readable.

    Example: rhapsode projections rebuild directory
    """
    ask(running_at(url), "POST", f"/v1/projections/{name}/rebuild")
    say(f"{name} is being made anew; rhapsode status tells when it is done.")


def _line(letter: dict[str, Any]) -> str:
    when = datetime.fromtimestamp(letter["buried_ms"] / 1000, UTC).isoformat(" ", "seconds")
    event = f"{letter['type']} {letter['session_id']}/{letter['seq']}"
    return (
        f"{letter['id']}  {letter['reader']}  {event}  {letter['tries']} tries, {when}\n    {letter['error']}"
    )


def _letters(address: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    query: dict[str, str | int] = {"limit": _PAGE}
    while True:
        page = ask(address, "GET", "/v1/dead-letters", query=query)
        found += page["dead_letters"]
        if page["next"] is None:
            return found
        query["after"] = page["next"]
