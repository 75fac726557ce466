"""What every measurement says and is told in the same way."""

import argparse
import shlex
import sys


def say(what: str) -> None:
    """How far it is; not among the results, which are on standard output."""
    print(f"... {what}", file=sys.stderr, flush=True)


def as_typed(target: str) -> str:
    """This command line as `make` takes it, without the key: the report is passed on."""
    words = sys.argv[1:]
    hidden = ["***" if before == "--key" else word for before, word in zip(["", *words], words, strict=False)]
    told = shlex.join("--key=***" if word.startswith("--key=") else word for word in hidden)
    quoted = told.replace('"', '\\"')
    return f'{target} ARGS="{quoted}"' if words else target


def first(error: Exception) -> Exception:
    """Of a group, what began it."""
    return first(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


def numbers(text: str) -> tuple[int, ...]:
    """Of sessions, as an argument: "1,4,16"."""
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or min(found) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} are no numbers of sessions: write 1,4,16")
    return found
