"""The program understands every command line that a document shows."""

import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.main import get_command

from cluster.cli.main import app

ROOT = Path(__file__).parents[3]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
OURS = ("schemas", "pipeline", "deployments", "cluster", "loadtests", "tests")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^([a-z-]+):.*\n((?:\t.*\n)*)", MAKEFILE, re.MULTILINE))
BLOCK = re.compile(r"^```.*?^```|^(?: {4,}.*\n)+", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")


class Shown(NamedTuple):
    """One command, as words; in a block it is meant to be typed as it stands."""

    words: tuple[str, ...]
    whole: bool


def commands(text: str, *, whole: bool) -> Iterator[Shown]:
    """Those of a shell line, without the variables before them."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    try:
        parts = [*lexer, ";"]
    except ValueError:  # a span of prose, or of another language
        return
    for part in parts:
        if part and set(part) <= set("();<>|&"):
            while words and re.match(r"[A-Z_]+=|\$$", words[0]):
                words.pop(0)
            if words:
                yield Shown((Path(words[0]).name, *words[1:]), whole)
            words = []
        else:
            words.append(part)


def shown_in(document: Path) -> Iterator[Shown]:
    text = document.read_text(encoding="utf-8")
    for block in BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield from commands(line, whole=True)
    for span in SPAN.findall(BLOCK.sub("\n", text)):
        yield from commands(" ".join(span.split()), whole=False)


def trouble_with_ours(words: tuple[str, ...], *, whole: bool) -> str:
    command: Any = get_command(app)
    rest = list(words)
    if rest and any(rest[0] in option.opts for option in command.params):
        return ""
    while rest and (below := getattr(command, "commands", None)) is not None:
        if (name := rest.pop(0)) not in below:
            return f"there is no {name}"
        command = below[name]
    if hasattr(command, "commands") or not (rest or whole):
        return ""  # only named
    try:
        command.make_context("rhapsode", rest)
    except Exception as error:
        return str(error) or repr(error)
    return ""


def trouble_with_module(module: str, options: tuple[str, ...]) -> str:
    if module.partition(".")[0] not in OURS:
        return ""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return "there is no such module"
    file = Path(spec.origin)
    sources = file.parent.rglob("*.py") if file.stem in ("__init__", "__main__") else [file]
    text = "".join(source.read_text(encoding="utf-8") for source in sources)
    unknown = [word for word in options if word.startswith("--") and f'"{word}"' not in text]
    return f"there is no {' '.join(unknown)}" if unknown else ""


def trouble_with_make(words: tuple[str, ...]) -> str:
    for word in words:
        name, variable, value = word.partition("=")
        if not (f"$({name})" in MAKEFILE or f"{name}," in MAKEFILE if variable else name in RECIPES):
            return f"there is no {name}"
        runs = re.search(r"(?:python -m (\S+)(?: [a-z-]+)?|/rhapsode (\S+)) \$\(ARGS\)", RECIPES[words[0]])
        if name == "ARGS" and runs is not None:
            given = tuple(shlex.split(value))
            said = (
                trouble_with_module(runs[1], given)
                if runs[1]
                else trouble_with_ours((runs[2], *given), whole=True)
            )
            if said:
                return said
    return ""


def trouble(shown: Shown) -> str:
    match shown.words:
        case ("rhapsode", *words):
            return trouble_with_ours(tuple(words), whole=shown.whole)
        case ("python", "-m", module, *words):
            return trouble_with_module(module, tuple(words))
        case ("make", *words):
            return trouble_with_make(tuple(words))
    return ""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_command_line_that_is_shown_is_understood(document: Path) -> None:
    found = [(" ".join(shown.words), said) for shown in shown_in(document) if (said := trouble(shown))]
    assert found == []


def test_a_command_that_is_not_understood_is_found() -> None:
    wrong = (
        "X=1 rhapsode drain --gatway; rhapsode stop | python -m loadtests gpu --sesions 1; make bench-gpus"
    )
    wrong += "; make run ARGS=--prot=1; make bench-gpu 'ARGS=--sessions 1 --voize x'"
    assert [bool(trouble(shown)) for shown in commands(wrong, whole=True)] == [True] * 6
    assert (
        sum(1 for document in DOCUMENTS for shown in shown_in(document) if shown.words[0] == "rhapsode") > 40
    )
