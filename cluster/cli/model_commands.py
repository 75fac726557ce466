"""`rhapsode models`: larger models from the hub, downloaded, checked, chosen and removed."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final

import anyio
import psutil
import typer
from rich.console import Console

from cluster.cli.command_help import Json, Yes, confirm, say
from cluster.terminal import run_state
from cluster.terminal.cli_errors import CliError, UsageError
from cluster.terminal.console import Steps
from pipeline.engines.weights import chosen_models, model_download
from pipeline.engines.weights.chosen_models import fits, states
from pipeline.engines.weights.model_manifest import ModelEntry, entries, next_smaller
from schemas.settings import AppSettings

app = typer.Typer(
    help="Larger language models, voices and speech to text, from the hub into the cache.",
    epilog="Begin with: rhapsode models list --language de",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(help="A name that rhapsode models list shows.")]
_PERMISSIVE: Final = frozenset({"MIT", "Apache-2.0"})


def _cache() -> Path:
    """The configured cache. Imported here: the module imports Ray, which `up` tells first where to listen."""
    from cluster.checks.config import cache

    return cache()


@app.command("list")
def list_(
    language: Annotated[
        str | None, typer.Option("--language", "-l", help="Only models of this language, as de or pt.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the models that can be downloaded, those that are here, and those in use.

    Example: rhapsode models list --language de
    """
    here, free = states(run_state.home(), _cache()), psutil.virtual_memory().available
    shown = [_row(entry, here[entry.name], free) for entry in entries() if _speaks(entry, language)]
    packaged = [
        {"name": name, "role": role, "state": here[name]} for name, role in chosen_models.PACKAGED.items()
    ]
    if as_json:
        say(json.dumps([*packaged, *shown], indent=1))
        return
    for row in packaged:
        say(f"{row['name']:<34}{'':>9}  {row['state']}")
    for row in shown:
        state = row["state"] if row["fits"] or row["state"] != "-" else "too large"
        say(f"{row['name']:<34}{row['megabytes']:>6,} MB  {state:<13}{row['licence']}")
    say("Download and use one: rhapsode models use NAME")


@app.command()
def pull(name: Name) -> None:
    """Download a model and check it; a download that was interrupted goes on where it was.

    The hub is Hugging Face's, or the one in HF_ENDPOINT; HTTPS_PROXY and HF_TOKEN are honoured.

    Example: rhapsode models pull piper-de_de-thorsten-medium
    """
    entry = _entry(name)
    folder = _pull(entry)
    say(f"Use it: rhapsode models use {entry.name}   ({folder})")


@app.command()
def use(name: Name, yes: Yes = False) -> None:
    """Use a model from the next start on; it is downloaded first if need be, and measured for two seconds.

    A packaged-... name goes back to what the configuration says. RHAPSODE_* variables win over this choice.

    Example: rhapsode models use qwen3.5-0.8b
    """
    home = run_state.home()
    if name in chosen_models.PACKAGED:
        chosen_models.choose(home, name)
        role = chosen_models.PACKAGED[name].replace("-", " ")
        say(f"The {role} is the packaged or configured one. {_next_step()}")
        return
    entry = _entry(name)
    folder = _pull(entry)
    _accept_licence(entry, folder, yes=yes)
    _measure(entry, folder, yes=yes)
    chosen_models.choose(home, entry.name)
    whose = "voice of new sessions" if entry.role == "voice" else entry.role.replace("-", " ")
    say(f"{entry.name} is the {whose}. {_next_step()}")


@app.command()
def remove(name: Name, yes: Yes = False) -> None:
    """Delete a model from the cache; if it is the one in use, the packaged one takes its place.

    Example: rhapsode models remove qwen3.5-4b
    """
    entry, home = _entry(name), run_state.home()
    confirm(f"Delete {entry.name}?", yes=yes)
    there = model_download.remove(entry.name, _cache())
    chosen_models.drop(home, entry.name)
    say(f"{entry.name} is deleted." if there else f"{entry.name} was not there.")


def _row(entry: ModelEntry, state: str, free: int) -> dict[str, Any]:
    fields = {"name", "about", "engine", "repository", "revision", "megabytes", "licence", "languages"}
    shown = entry.model_dump(mode="json", include=fields)
    return {**shown, "role": entry.role, "state": state, "fits": fits(entry, free)}


def _speaks(entry: ModelEntry, language: str | None) -> bool:
    if language is None or "*" in entry.languages:
        return True
    return language.lower().split("-")[0] in entry.languages


def _entry(name: str) -> ModelEntry:
    for entry in entries():
        if entry.name == name:
            return entry
    raise UsageError(f"There is no model {name!r}.", "rhapsode models list shows them all.")


def _pull(entry: ModelEntry) -> Path:
    steps = Steps(Console(stderr=True))
    try:
        with steps.step(f"{entry.name}, {entry.megabytes:,} MB, licence: {entry.licence}") as note:
            folder = model_download.download(entry, _cache(), lambda _, done: note(f"{done:.0%}"))
            note(str(folder))
    except model_download.DownloadFailed as error:
        raise CliError(str(error)) from error
    return folder


def _accept_licence(entry: ModelEntry, folder: Path, *, yes: bool) -> None:
    """Shows a licence that is not permissive, or differs by voice, before the first use."""
    if entry.licence in _PERMISSIVE:
        return
    for name in ("MODEL_CARD", "LICENSE.txt", "README.md"):
        if (folder / name).is_file():
            say((folder / name).read_text(encoding="utf-8", errors="replace").strip())
    confirm(f"Use {entry.name} under this licence ({entry.licence})?", yes=yes)


def _measure(entry: ModelEntry, folder: Path, *, yes: bool) -> None:
    """Names a smaller model and asks before one is used that is too slow to talk with."""
    from cluster.checks import model_speed

    settings = AppSettings.model_validate({**entry.settings(folder), "cache": _cache()})
    steps = Steps(Console(stderr=True))
    with steps.step("Measuring it for two seconds") as note:
        if entry.engine == "llama":
            speed = anyio.run(model_speed.language_model, settings.language_model, settings.cache)
        elif entry.engine in ("piper", "kokoro", "pocket"):
            speed = anyio.run(model_speed.voice, settings.text_to_speech, settings.cache)
        elif entry.engine in ("whisper", "moonshine") and find_spec("piper") is not None:
            speed = anyio.run(model_speed.speech_to_text, settings)
        else:
            note("not measured: its engine is in an environment of its own, or there is no voice to be heard")
            return
        note(speed.about)
    if not speed.fits:
        slow = f"{entry.name} is too slow for a conversation on this machine"
        say(f"{slow}: {speed.about}. {model_speed.WANTED}")
        smaller = next_smaller(entry)
        known = "The next smaller one" if smaller else "The manifest has no smaller one; the packaged one"
        say(f"{known}: rhapsode models use {smaller.name if smaller else f'packaged-{entry.role}'}")
        confirm(f"Use {entry.name} all the same?", yes=yes)


def _next_step() -> str:
    running = run_state.running(run_state.home()) is not None
    return "It takes effect with: rhapsode " + ("down, then rhapsode up" if running else "up")
