"""The commands as somebody types them, in this process."""

import sys
from collections.abc import Callable

import pytest

from loadtests.runner.load_command import WRONG


def ended(main: Callable[[], int], monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Its exit code. Raises SystemExit where argparse ends it."""
    monkeypatch.setattr(sys, "argv", ["load", *words])
    monkeypatch.delenv("DISPLAY", raising=False)
    return main()


def refused(
    main: Callable[[], int],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> str:
    """The last line of what it says, having taken none of it."""
    with pytest.raises(SystemExit) as end:
        ended(main, monkeypatch, *words.split())
    assert end.value.code == WRONG
    return capsys.readouterr().err.splitlines()[-1]
