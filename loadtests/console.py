"""What every measurement says and is told in the same way."""

import argparse
import sys


def say(what: str) -> None:
    """How far it is; not among the results, which are on standard output."""
    print(f"... {what}", file=sys.stderr, flush=True)


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
