"""What it looks like: the rules that can be asserted, and pictures for a person to look at."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.page_reader import Reader

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
LOOKS = [
    pytest.param("desktop", DESKTOP, "light"),
    pytest.param("phone", PHONE, "dark"),
    pytest.param("desktop", DESKTOP, "dark", marks=pytest.mark.long),
    pytest.param("phone", PHONE, "light", marks=pytest.mark.long),
]
"""Of the places that take long to picture, both sizes and both schemes: a scheme changes no width."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("device", "viewport"), [("desktop", DESKTOP), ("phone", PHONE)])
def test_pictures_of_the_page(
    open_page: OpenPage, pictures: Path, scheme: str, device: str, viewport: dict[str, int]
) -> None:
    reader = open_page(viewport=viewport, color_scheme=scheme)
    reader.page.get_by_role("heading", name="What would you like to hear?").wait_for()
    reader.page.screenshot(path=pictures / f"{device}-{scheme}-welcome.png")
    reader.ask("Tell me a story about a lighthouse keeper and a fox")
    reader.page.locator(".word.said").wait_for()
    reader.page.screenshot(path=pictures / f"{device}-{scheme}-speaking.png")
    assert reader.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_phone_never_scrolls_sideways(open_page: OpenPage, pictures: Path) -> None:
    reader = open_page(viewport=PHONE)
    reader.ask("x" * 3_000)
    reader.page.locator("#problem").wait_for()
    reader.ask("W" * 400)
    reader.page.locator(".turn").wait_for()
    reader.page.click("#sound summary")
    reader.page.screenshot(path=pictures / "phone-light-panel.png")
    reader.page.keyboard.press("Escape")
    reader.page.click("#log summary")
    reader.page.screenshot(path=pictures / "phone-light-log.png")
    assert reader.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_every_control_has_a_name_and_a_visible_focus(open_page: OpenPage) -> None:
    reader = open_page()
    reader.ask("a story")
    reader.hears()
    nameless = reader.page.evaluate("""() =>
        [...document.querySelectorAll('button, a, summary, input, select, textarea')]
            .filter((part) => part.checkVisibility())
            .filter((part) => !(part.ariaLabel || part.innerText || part.labels?.length))
            .map((part) => part.outerHTML)""")
    assert nameless == []
    reader.page.focus("#stop")
    reader.page.keyboard.press("Shift+Tab")
    assert reader.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
