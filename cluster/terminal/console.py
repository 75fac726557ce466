"""How the command line talks: one line per step, whether somebody watches or a file is written."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.markup import escape

from cluster.terminal.cli_errors import CliError

Note = Callable[[str], None]
"""Replaces what is said about the running step."""


class Steps:
    """Says what is being done and how it ended. On a terminal the running step is animated."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, name: str) -> Iterator[Note]:
        """One step; what was noted last is printed with it, or a cross if it fails."""
        began, said = monotonic(), ""
        with self._console.status(f"{name} …") as status:

            def note(text: str) -> None:
                nonlocal said
                said = text
                status.update(f"{name} … [dim]{escape(text)}[/dim]")

            try:
                yield note
            except BaseException:
                self._console.print(f"[red]✗[/red] {name}")
                raise
        seconds = f" [dim]({monotonic() - began:.1f} s)[/dim]" if monotonic() - began >= 1 else ""
        self._console.print(
            f"[green]✓[/green] {name}  {escape(said)}{seconds}", highlight=False, soft_wrap=True
        )

    def say(self, text: str = "") -> None:
        self._console.print(text, highlight=False, soft_wrap=True)


def show_error(console: Console, error: CliError) -> None:
    console.print(f"[red]Error:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
    if error.advice:
        console.print(escape(error.advice), highlight=False, soft_wrap=True)
