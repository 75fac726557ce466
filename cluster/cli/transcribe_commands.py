"""`rhapsode hear` and `rhapsode compare`."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio
import typer
from rich.console import Console
from rich.markup import escape

from cluster.cli.command_help import Json, Start, running_at, show
from cluster.terminal.cli_errors import UsageError
from cluster.terminal.console import Steps

Mode = Literal["realtime", "quality", "legacy"]


def hear(  # noqa: PLR0913 - a command's options
    files: Annotated[list[Path], typer.Argument(help="Recordings of any kind, or folders of them.")],
    reference: Annotated[str, typer.Option(help="What is said in it, to measure the text against.")] = "",
    reference_file: Annotated[
        Path | None, typer.Option("--reference-file", help="The same, from a text file.")
    ] = None,
    mode: Annotated[
        Mode | None, typer.Option(help="How speech is written down; the system's default otherwise.")
    ] = None,
    language: Annotated[
        str, typer.Option(help='What is spoken, as "de"; "auto": found out; the system\'s default otherwise.')
    ] = "",
    compare_: Annotated[bool, typer.Option("--compare", help="Write it down in both ways.")] = False,
    no_reply: Annotated[bool, typer.Option("--no-reply", help="Only write it down.")] = False,
    start: Start = False,
) -> None:
    """Listen to recordings, print what was said in them and when, and answer it.

    What is really said is known from a .txt file beside a recording, or from a list named "transcription" in
    its folder, as LibriVox sets have it.

    Example: rhapsode hear speech.wav --reference "go forward ten meters" --no-reply
    """
    from cluster.client import transcribe
    from cluster.client.transcribe import recordings, text_of

    if reference and reference_file:
        raise UsageError("There are two references.", "Give one of them.")
    said = text_of(reference_file) if reference_file else reference
    found = recordings(files, said)
    listening: dict[str, Any] = {"reply": not no_reply, "compare": compare_}
    listening |= {} if mode is None else {"mode": mode}
    listening |= {"language": language} if language else {}
    wish = transcribe.TranscribeParams(running_at(start=start), listening)
    steps = Steps(Console(stderr=True))
    session = anyio.run(transcribe.hear, wish, found, sys.stdout, steps)
    steps.say(f"[dim]Both ways on this sound: rhapsode compare {session}[/dim]")


def compare(
    sessions: Annotated[list[str], typer.Argument(help="Ids of sessions that have heard something.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the report to this Markdown file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write what sessions have heard down again, in both ways, and say how they differ.

    Example: rhapsode compare 0199a2b4-6c1e-7d1a-8f00-5b7a3c2d1e0f --output docs/compare.md
    """
    from cluster.client import transcribe
    from cluster.client.comparison_table import markdown

    if output is not None and not output.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {output.absolute().parent}.")
    steps = Steps(Console(stderr=True))
    reports = anyio.run(transcribe.compare, running_at(), sessions, steps)
    text = markdown(reports)
    if output is not None:
        output.write_text(text, encoding="utf-8")
        steps.say(f"The report is in {escape(str(output))}.")
    if as_json or output is None:
        show([report.model_dump(mode="json") for report in reports], [text], as_json=as_json)
