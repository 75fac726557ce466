"""What somebody at the page does and sees, in words that tests can use."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self, cast

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, TimeoutError

PATIENCE_MS = 25_000
LOOK_MS = 40
"""How often a condition is looked at; Playwright by itself looks with each frame, and each is drawn then."""

ALL: dict[str, Any] = {"resultTypes": ["violations"]}
OF_COLOURS = ALL | {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
"""The rest of what axe looks at is the same in every look."""

_WATCH = """(arg) => {
  const watching = { came: false };
  const look = setInterval(() => {
    const s = rhapsode.stats();
    watching.came = CONDITION;
    if (watching.came) clearInterval(look);
  }, 5);
  return watching;
}"""


class Reader:
    """One tab. Waits for what it is told to see, and fails when that does not come."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.mistakes: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.mistakes.append(str(error)))

    @classmethod
    def at(cls, browser: Browser | BrowserContext, url: str, **context: Any) -> Self:
        """Open a tab there, in a browser profile of its own unless a context is given."""
        where = browser if isinstance(browser, BrowserContext) else browser.new_context(**context)
        reader = cls(where.new_page())
        reader.page.goto(url)
        return reader

    def ask(self, text: str) -> None:
        self.page.fill("#text", text)
        self.page.press("#text", "Enter")

    def choose(self, action: str) -> None:
        """One of the actions of the conversation on show."""
        self.page.click("#more")
        self.page.locator("#menu").get_by_text(action, exact=True).click()

    def open_sidebar(self) -> None:
        """Where it is a drawer."""
        if not self.page.locator("#sidebar").is_visible():
            self.page.click("#open-sidebar")

    def goes_to(self, place: str) -> None:
        """By the side bar, in the same document."""
        self.open_sidebar()
        self.page.locator(".places").get_by_role("link", name=place).click()

    def look_up(self) -> None:
        """Take the cursor out of the text box."""
        self.page.evaluate("document.activeElement.blur()")

    def wait(self, condition: str, argument: object = None) -> None:
        """Until the JavaScript expression holds; `s` is the page's stats, `arg` the argument."""
        body = f"(arg) => {{ const s = globalThis.rhapsode?.stats(); return s && ({condition}); }}"
        try:
            self.page.wait_for_function(body, arg=argument, polling=LOOK_MS)
        except TimeoutError as error:
            raise AssertionError(f"never came true: {condition} ({argument}); {self._seen}") from error

    @contextmanager
    def waits(self, condition: str, argument: object = None) -> Iterator[None]:
        """As `wait`, but looks from the beginning of the block: also for what holds only for a moment."""
        watching = self.page.evaluate_handle(_WATCH.replace("CONDITION", condition), argument)
        yield
        try:
            self.page.wait_for_function("(watching) => watching.came", arg=watching, polling=LOOK_MS)
        except TimeoutError as error:
            raise AssertionError(f"never came true: {condition} ({argument}); {self._seen}") from error

    def violations(self, options: dict[str, Any] = ALL) -> list[dict[str, Any]]:
        """Those of axe's rules that what is on show breaks; axe is put into a document once."""
        if not self.page.evaluate("'axe' in globalThis"):
            self.page.evaluate(Axe().axe_script)
        found = self.page.evaluate("async (options) => (await axe.run(options)).violations", options)
        return cast(list[dict[str, Any]], found)

    def sees(self, condition: Callable[[], bool]) -> None:
        """Until it holds, of the server or of the page: what was told last is recorded a moment later."""
        deadline = time.monotonic() + PATIENCE_MS / 1_000
        while not condition():
            assert time.monotonic() < deadline, "It never came true."
            self.page.wait_for_timeout(50)

    def hears(self, beyond_ms: float = 0) -> None:
        """Until sound comes out and the place in the turn is beyond `beyond_ms`."""
        self.wait("s.rms > 0.005 && s.positionMs > arg", beyond_ms)

    def tap_if_asked(self) -> None:
        """Allow sound where the browser wants to be asked first."""
        self.wait("s.turn !== null")
        self.page.wait_for_function(
            "() => rhapsode.stats().contextState === 'running' || !document.querySelector('#unlock').hidden",
            polling=LOOK_MS,
        )
        if self.page.is_visible("#unlock"):
            self.unlock()

    def unlock(self) -> None:
        """Press what allows sound, by its place: it may be gone with the next frame."""
        box = self.page.locator("#unlock").bounding_box()
        if box is not None:
            self.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def reloads_in_mid_answer(self) -> float:
        """Hears a part, loads the page anew, and hears on from there: the milliseconds of the part."""
        self.hears(1_500)
        left_ms: float = self.stats["positionMs"]
        self.page.reload()
        self.tap_if_asked()
        self.wait("s.samplesPlayed > 0")
        assert 1_300 < self.begun_ms < left_ms + 2_000
        return left_ms

    @property
    def _seen(self) -> dict[str, Any]:
        """What a failure should tell of the page: its figures, and what it says itself."""
        return self.stats | {"says": self.page.inner_text("body")[-1_500:], "mistakes": self.mistakes}

    @property
    def begun_ms(self) -> float:
        """The place in the turn where this page began to play it, if it has not paused or skipped since."""
        stats = self.stats
        begun: float = stats["positionMs"] - stats["samplesPlayed"] / 48
        return begun

    @property
    def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = self.page.evaluate("rhapsode.stats()")
        return stats

    @property
    def session(self) -> str:
        self.page.wait_for_url("**/?session=*")
        return self.page.url.partition("session=")[2].partition("#")[0]

    @property
    def answer(self) -> str:
        """The text of the last turn as it stands on the page."""
        return self.page.locator(".turn .prose").last.evaluate("(prose) => prose.textContent")  # type: ignore[no-any-return]

    @property
    def last_turn(self) -> int:
        return int(self.page.locator(".turn").last.get_attribute("data-turn") or 0)

    def status_is(self, status: str) -> None:
        self.page.locator(f'.turn:last-child[data-status="{status}"]').wait_for(state="attached")

    def close(self) -> None:
        """Leave; a mistake in the page's own code is a failure of the test."""
        self.page.context.close()
        assert self.mistakes == [], self.mistakes
