"""The `rhapsode` command: each command explains itself with an example; the work is in other modules."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio
import typer
from rich.console import Console
from rich.markup import escape

from cluster.cli import document_commands, key_commands, model_commands, rollout_commands, transcribe_commands
from cluster.cli.command_help import Json, Start, Url, running_at, show
from cluster.cli.command_help import say as say_plainly
from cluster.cli.common_options import Key, begin, complete
from cluster.cli.maintenance_commands import dead, projections
from cluster.cli.metrics_command import metrics
from cluster.cli.top_command import top
from cluster.terminal.cli_errors import UsageError
from cluster.terminal.console import Steps
from schemas.version import BUILD

app = typer.Typer(
    help="Rhapsode: ask, and hear the answer while it is being written.",
    epilog="Begin with: rhapsode up",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="Write the sound to this .wav, .mp3 or .ogg file.")
]
Voice = Annotated[str | None, typer.Option(help="Whose voice; the system's default otherwise.")]
Speed = Annotated[float | None, typer.Option("--rate", min=0.25, max=4, help="How fast it is spoken.")]

app.add_typer(key_commands.app, name="keys")
app.add_typer(document_commands.app, name="documents")
app.add_typer(model_commands.app, name="models")
app.add_typer(dead, name="dead")
app.add_typer(projections, name="projections")


def _say_version(wanted: bool) -> None:
    if wanted:
        say_plainly(f"rhapsode {BUILD}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version.")
    ] = False,
    url: Url = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    begin(url, key, as_json)


@app.command()
def up(
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="Exactly this port.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 0.0.0.0 for every one.")] = None,
    config: Annotated[Path | None, typer.Option(help="A serve_config.yaml of your own.")] = None,
    scripted: Annotated[
        bool, typer.Option(help="Scripted engines instead of models; for trying out.")
    ] = False,
    pretend_gpus: Annotated[
        int | None, typer.Option(min=1, max=64, help="Count so many GPUs; for trying out a configuration.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when it is ready.")] = False,
) -> None:
    """Start everything and print the address.

    The first start prepares the models' weights, which takes a minute. Ctrl-C, or `rhapsode down` in another
    terminal, stops everything. Sessions are kept and there again after the next start.

    Example: rhapsode up --detach --port 9000
    """
    from cluster.checks.exposure import OPEN
    from cluster.local import detach as background
    from cluster.local import up as foreground
    from cluster.terminal.run_state import StartParams, home, refuse_other_wishes, running

    steps = Steps(Console())
    wish = StartParams(config, host, port, scripted, pretend_gpus)
    if (other := running(home())) is not None:
        refuse_other_wishes(wish, other)
    if not detach:
        foreground.run(wish, steps)
        return
    given = [
        text
        for name, value in wish.options.items()
        for text in ([f"--{name}"] if value is True else [f"--{name}", str(value)])
    ]
    url = background.start(given, steps)
    steps.say(f"Rhapsode is ready: [bold]{url}[/bold]")
    if (started := running(home())) and started.open:
        steps.say(OPEN)
    steps.say("Stop it with: rhapsode down")


@app.command()
def down() -> None:
    """Stop what runs, from any terminal; after a crash, end what was left behind.

    Example: rhapsode down
    """
    from cluster.local import down as stopping

    stopping.run(Steps(Console()))


@app.command()
def status(url: Url = None, as_json: Json = False) -> None:
    """Say what runs, where, and whether it is well. Exit status: 0 well, 1 not well, 3 not running.

    Example: rhapsode status --url http://rhapsode.example.org --json
    """
    from cluster.cli.status import look, look_elsewhere

    found = look() if url is None else look_elsewhere(running_at(url))
    show(asdict(found), found.lines(), as_json=as_json)
    raise typer.Exit(found.exit_status)


@app.command()
def doctor(
    config: Annotated[Path | None, typer.Option(help="A serve_config.yaml of your own.")] = None,
    as_json: Json = False,
) -> None:
    """Look at everything that is needed and say what to do about what is missing.

    Example: rhapsode doctor --config cluster/gpu.yaml
    """
    from cluster.checks.doctor import CheckResult, examine

    marks = {"ok": "[green]ok  [/green]", "note": "[yellow]note[/yellow]", "bad": "[red]bad [/red]"}
    console, results = Console(), list[CheckResult]()
    for result in examine(config):
        results.append(result)
        if not as_json:
            line = f"{marks[result.verdict]}  {result.name:<28}{escape(result.found)}"
            advice = f"  → {escape(result.advice)}" if result.advice else ""
            console.print(line + advice, highlight=False, soft_wrap=True)
    if as_json:
        show([asdict(result) for result in results], (), as_json=True)
    raise typer.Exit(1 if any(result.verdict == "bad" for result in results) else 0)


@app.command("logs")
def show_logs(
    part: Annotated[
        str | None, typer.Argument(help="As gateway, workers, language-model, serve, ray, log; else all.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is added.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="The last so many of each file.")] = 50,
) -> None:
    """Show what the processes of the running system have written, or those of the last one.

    The last five runs are kept in the folder logs of the home; the log server writes to log/server.log there.

    Example: rhapsode logs gateway --follow
    """
    from cluster.local import process_logs
    from cluster.terminal.run_state import home

    process_logs.show(home(), part, lines, say_plainly, follow=follow)


@app.command("check-config")
def check_config(file: Annotated[Path, typer.Argument(help="A serve_config.yaml.")]) -> None:
    """Check a configuration strictly: misspelt keys are named, with the key that was probably meant.

    Example: rhapsode check-config serve_config.yaml
    """
    from cluster.checks import exposure
    from cluster.checks.config import load

    found = load(file)
    who = exposure.check(found)
    say_plainly(f"{file} is right: profile {found.settings.profile}, {who}.")


@app.command()
def say(
    text: Annotated[str, typer.Argument(help='What to read out; "-" reads standard input.')],
    out: Out = None,
    voice: Voice = None,
    rate: Speed = None,
    start: Start = False,
) -> None:
    """Read a text out, word for word, on the speakers or into a file.

    Example: rhapsode say "Good morning." --out morning.mp3
    """
    _speak("text", text, out, {"voice": voice, "speech_speed": rate}, start=start, words_shown=False)


@app.command()
def narrate(
    prompt: Annotated[str, typer.Argument(help='What to ask; "-" reads standard input.')],
    out: Out = None,
    voice: Voice = None,
    rate: Speed = None,
    start: Start = False,
) -> None:
    """Ask, and see and hear the answer while it is being written.

    Example: rhapsode narrate "Tell me about the sea."
    """
    _speak("prompt", prompt, out, {"voice": voice, "speech_speed": rate}, start=start, words_shown=True)


@app.command("call-me")
def call_me(
    provider: Annotated[
        Literal["twilio", "telnyx"], typer.Option(help="Whose telephone numbers.")
    ] = "twilio",
    public_url: Annotated[
        str | None, typer.Option(help="Address of this server for the provider; else the setting.")
    ] = None,
) -> None:
    """Print what leads a telephone number's calls here: a webhook's address, and the same as markup.

    The markup is TwiML, or TeXML for Telnyx: for a TwiML Bin, or for a call that you begin by an API.

    Example: rhapsode call-me --public-url https://voice.example.com
    """
    from deployments.app_settings import load_settings
    from deployments.faces.telephone.call_markup import ask_again

    base = public_url or load_settings({}).gateway.telephone.public_url
    if base is None or not base.startswith("https://"):
        raise UsageError(
            "Nothing says at which https:// address the provider reaches this server.",
            "Add --public-url https://HOST, or set gateway.telephone.public_url.",
        )
    webhook = f"{base.rstrip('/')}/v1/telephone/{provider}/voice"
    say_plainly(f"{webhook}\n{ask_again(webhook)}")


@app.command()
def mcp() -> None:
    """Be an MCP server on standard input and output, for programs that start one.

    Its tools are those of a running system's /v1/mcp: ask, speak, transcribe, list_sessions, read_session.

    Example: rhapsode mcp
    """
    from cluster.client import mcp_bridge
    from cluster.terminal.requests import ask
    from cluster.terminal.run_state import credential

    address = running_at()
    ask(address, "GET", "/v1/voices")  # a refusal is told here, and not to the program that started it
    anyio.run(mcp_bridge.serve, address, credential())


@app.command()
def wyoming(
    address: Annotated[str, typer.Option(help="Host and port to listen on.")] = "127.0.0.1:10500",
    allow: Annotated[
        list[str] | None, typer.Option(help="A network that may use it, as 192.168.1.0/24. May be repeated.")
    ] = None,
) -> None:
    """Be a Wyoming server, for Home Assistant: speech to text, voices and conversation of a running system.

    Everybody in the networks named by --allow may use it with your key. Ctrl-C stops it.

    Example: rhapsode wyoming --address 0.0.0.0:10500 --allow 192.168.1.0/24
    """
    from cluster.client.wyoming import wyoming_server
    from cluster.terminal.requests import ask

    networks = wyoming_server.networks(allow or ())
    host, port = wyoming_server.host_and_port(address)
    url = running_at()
    ask(url, "GET", "/v1/voices")  # a refusal is told here, and not to every device
    anyio.run(wyoming_server.run, wyoming_server.WyomingServer(url, networks), host, port, say_plainly)


app.command()(metrics)
app.command()(top)
app.command("reload")(rollout_commands.reload_config)
app.command()(rollout_commands.deploy)
app.command()(rollout_commands.drain)
app.command()(transcribe_commands.hear)
app.command()(transcribe_commands.compare)


@app.command()
def replay(
    session: Annotated[str, typer.Argument(help="A session's id, as narrate and the page show it.")],
    speed: Annotated[float, typer.Option(min=0, max=100, help="1: as it was, 4: faster, 0: at once.")] = 1,
    out: Out = None,
) -> None:
    """Show and play a session again as it happened.

    Example: rhapsode replay 0199a2b4-6c1e-7d1a-8f00-5b7a3c2d1e0f --speed 4
    """
    from cluster.client import speak

    wish = speak.SpeakParams(running_at(start=False), out)
    anyio.run(speak.replay, wish, session, speed, sys.stdout)


@app.command("export")
def export_session(
    session: Annotated[str, typer.Argument(help="A session's id.")],
    file: Annotated[Path, typer.Argument(help="The ZIP file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
) -> None:
    """Write a session to a file: its events, sound and captions, for safe keeping or another server.

    Example: rhapsode export 0199a2b4-6c1e-7d1a-8f00-5b7a3c2d1e0f story.zip
    """
    from cluster.client import http_client

    say_plainly(anyio.run(http_client.export, running_at(start=False), session, file, force))


@app.command("import")
def import_session(file: Annotated[Path, typer.Argument(help="A file that export has written.")]) -> None:
    """Make a new session of an exported one, with the same words, times and sound.

    Example: rhapsode import story.zip
    """
    from cluster.client import http_client

    say_plainly(anyio.run(http_client.bring, running_at(start=False), file))


def _speak(
    kind: str, words: str, out: Path | None, settings: dict[str, Any], *, start: bool, words_shown: bool
) -> None:
    from cluster.client import speak
    from rhapsode import audio_devices as player

    said = sys.stdin.read() if words == "-" else words
    if not said.strip():
        raise UsageError("There is nothing to say.", "Give some text.")
    if out is None and kind == "text" and player.find() is None:
        raise UsageError("No audio player was found.", "Use --out speech.mp3.")
    speak.format_of(out)
    given = {name: value for name, value in settings.items() if value is not None}
    wish = speak.SpeakParams(running_at(start=start), out, given, words_shown)
    session = anyio.run(partial(speak.ask, wish, sys.stdout, **{kind: said}))
    _tell_what_next(kind, session, out, heard=player.find() is not None)


def _tell_what_next(kind: str, session: str, out: Path | None, *, heard: bool) -> None:
    """On standard error, so that standard output holds the words alone."""
    note: Callable[..., None] = partial(
        Console(stderr=True).print, highlight=False, soft_wrap=True, style="dim"
    )
    if out is not None:
        note(f"The sound is in {escape(str(out))}.")
    elif not heard:
        note("No audio player was found, so there was no sound; use --out answer.mp3.")
    if kind == "prompt":
        note(f"Again: rhapsode replay {session}")


complete(app)

if __name__ == "__main__":
    app()
