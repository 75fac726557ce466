"""Debian's Firefox, driven by Playwright over WebDriver BiDi."""

import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Playwright

from tests.browser.other_browsers import firefox_relay
from tests.browser.page_reader import Reader

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
SCHEME = "layout.css.prefers-color-scheme.content-override"
DARK, LIGHT = 0, 1
PREFERENCES: dict[str, str | float | bool] = {
    "media.navigator.permission.disabled": True,
    "layout.frame_rate": 10,  # without a graphics card, sixty pictures a second take a core
    "ui.prefersReducedMotion": 1,
    "dom.ipc.processPrelaunch.enabled": False,
    "fission.autostart": False,  # one process for all pages
}


@contextmanager
def firefox(
    playwright: Playwright, environment: dict[str, str], folder: Path, *, dark: bool
) -> Iterator[Callable[[], Reader]]:
    """Opens tabs, each in a container of its own; microphones are lent without a question."""
    if FIREFOX is None:
        pytest.skip("firefox is not installed")
    command = shlex.join([sys.executable, firefox_relay.__file__, FIREFOX])
    program = folder / "firefox"
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    program.chmod(0o700)
    browser = playwright.firefox.launch(
        channel="moz-firefox",
        executable_path=program,
        firefox_user_prefs=PREFERENCES | {SCHEME: DARK if dark else LIGHT},
        env=dict(environment),
    )

    def open_tab() -> Reader:
        reader = Reader(browser.new_page())

        def told(message: ConsoleMessage) -> None:
            if message.type == "error":
                reader.mistakes.append(message.text)

        reader.page.on("console", told)
        return reader

    try:
        yield open_tab
    finally:
        browser.close()
