"""WebKitGTK's own small browser, driven by WebDriver, for `Reader`."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest
from playwright.sync_api import Page, Playwright
from selenium.common.exceptions import ElementNotInteractableException
from selenium.webdriver import Keys
from selenium.webdriver.webkitgtk.options import Options
from selenium.webdriver.webkitgtk.service import Service
from selenium.webdriver.webkitgtk.webdriver import WebDriver

from tests.browser.page_reader import LOOK_MS, PATIENCE_MS, Reader

DRIVER = shutil.which("WebKitWebDriver")
MINI_BROWSER = next(Path("/usr/lib").glob("*/webkit2gtk-4.1/MiniBrowser"), None)
XVFB = shutil.which("Xvfb")
KEEP_MISTAKES = """() => {
  globalThis.mistakes = [];
  addEventListener("error", ({ message }) => mistakes.push(message));
  const { error } = console;
  console.error = (...words) => {
    mistakes.push(words.join(" "));
    error(...words);
  };
}"""
"""WebDriver does not tell what is written to the console, and the browser writes it nowhere."""


@contextmanager
def screen() -> Iterator[str]:
    """Name of a display that nobody sees: WebKitGTK has no way to do without one."""
    if XVFB is None:
        pytest.skip("xvfb is not installed")
    command = [XVFB, "-displayfd", "1", "-screen", "0", "1400x900x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield f":{process.stdout.readline().strip()}"
        finally:
            process.terminate()


class WebKitPage:
    """Those methods of Playwright's `Page` that tests of every browser use.

    Scripts are expressions, or functions of no argument or one; elements are found by CSS selectors.
    """

    def __init__(self, driver: WebDriver) -> None:
        self._driver = driver

    def goto(self, url: str) -> None:
        self._driver.get(url)
        self.evaluate(KEEP_MISTAKES)

    def reload(self) -> None:
        self._driver.refresh()
        self.evaluate(KEEP_MISTAKES)

    def evaluate(self, script: str, arg: object = None) -> Any:
        given = f"const given = ({script});"
        result = "return typeof given === 'function' ? given(arguments[0]) : given;"
        return self._driver.execute_script(given + result, arg)

    def wait_for_function(self, script: str, *, arg: object = None, polling: int = LOOK_MS) -> None:
        deadline = time.monotonic() + PATIENCE_MS / 1_000
        while not self.evaluate(script, arg):
            assert time.monotonic() < deadline, f"never came true: {script} ({arg})"
            time.sleep(polling / 1_000)

    def click(self, selector: str) -> None:
        self._driver.find_element("css selector", selector).click()

    def fill(self, selector: str, text: str) -> None:
        self._driver.find_element("css selector", selector).send_keys(text)

    def press(self, selector: str, key: str) -> None:
        self._driver.find_element("css selector", selector).send_keys(getattr(Keys, key.upper()))

    def set_viewport_size(self, size: dict[str, int]) -> None:
        """At least 447 pixels wide, since the browser's own buttons are."""
        self._driver.set_window_size(size["width"], size["height"])

    def is_visible(self, selector: str) -> bool:
        return self._driver.find_element("css selector", selector).is_displayed()

    def inner_text(self, selector: str) -> str:
        return self._driver.find_element("css selector", selector).text


class WebKitReader(Reader):
    """A first visit in the one window of the browser."""

    def __init__(self, driver: WebDriver) -> None:
        self._driver = driver
        self.page = cast(Page, WebKitPage(driver))
        self.mistakes = []

    def unlock(self) -> None:
        with suppress(ElementNotInteractableException):  # it has gone since it was looked at
            self.page.click("#unlock")

    def close(self) -> None:
        """Leave nothing of the visit for the next one."""
        self.mistakes += self.page.evaluate("globalThis.mistakes ?? []")
        self._driver.get(self.page.evaluate("location.origin") + "/web/icon.svg")
        self.page.evaluate("localStorage.clear(), sessionStorage.clear()")
        assert self.mistakes == [], self.mistakes


@contextmanager
def webkit(
    _: Playwright, environment: dict[str, str], folder: Path, *, dark: bool
) -> Iterator[Callable[[], Reader]]:
    """Opens pages in a window, one after the other; microphones are lent without a question."""
    if DRIVER is None or MINI_BROWSER is None:
        pytest.skip("webkit2gtk-driver is not installed")
    options = Options()
    options.binary_location = str(MINI_BROWSER)
    options.add_argument("--automation")
    with screen() as display:
        theme = "Adwaita:dark" if dark else "Adwaita"
        own = environment | {"DISPLAY": display, "GTK_THEME": theme, "WEBKIT_DISABLE_COMPOSITING_MODE": "1"}
        service = Service(str(DRIVER), env=own, log_output=str(folder / "webkit.log"))
        driver = WebDriver(options=options, service=service)
        try:
            yield lambda: WebKitReader(driver)
        finally:
            driver.quit()
