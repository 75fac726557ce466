"""The page is in the reader's language, and in the one that is chosen."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.page_reader import Reader

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]


@pytest.mark.parametrize(
    ("locale", "lang", "heading"),
    [
        ("de-AT", "de", "Was möchten Sie hören?"),
        ("es-MX", "es", "¿Qué le gustaría oír?"),
        ("fr-CA", "fr", "Que voulez-vous entendre ?"),
        ("zh-CN", "zh", "你想听什么？"),
        ("nl-NL", "en", "What would you like to hear?"),
    ],
)
def test_the_browsers_language_is_the_pages(
    open_page: OpenPage, pictures: Path, locale: str, lang: str, heading: str
) -> None:
    asked: list[str] = []
    reader = open_page("/", locale=locale)
    reader.page.on("request", lambda request: asked.append(request.url))
    reader.page.reload()
    expect(reader.page.get_by_role("heading", name=heading)).to_be_visible()
    assert reader.page.evaluate("document.documentElement.lang") == lang
    tables = {url.rsplit("/", 1)[1] for url in asked if "/strings/" in url}
    assert tables == ({f"{lang}.js"} if lang != "en" else set())
    reader.page.screenshot(path=pictures / f"language-{lang}.png")
    assert reader.mistakes == []


def test_a_chosen_language_stays_and_keeps_what_was_typed(open_page: OpenPage, pictures: Path) -> None:
    reader = open_page("/")
    reader.page.fill("#text", "half a question")
    reader.page.get_by_role("button", name="Settings").click()
    reader.page.get_by_label("Language of the page").select_option("de")
    reader.page.get_by_role("button", name="Einstellungen", exact=True).click()
    expect(reader.page.get_by_role("group", name="Mikrofon und Lautsprecher")).to_be_visible()
    expect(reader.page.get_by_role("switch", name="Sprechen auf Tastendruck")).to_be_visible()
    reader.page.keyboard.press("Escape")
    expect(reader.page.locator("#text")).to_have_value("half a question")
    reader.page.reload()
    expect(reader.page.locator("#text")).to_have_attribute("placeholder", "Nachricht …")
    reader.ask("long " * 500)  # more than the server takes
    expect(reader.page.locator("#problem")).to_have_text("Der Text ist zu lang.")
    reader.ask("tell me briefly")
    answer = reader.page.get_by_role("article")
    expect(answer.get_by_role("button", name="Kopieren")).to_be_visible()
    answer.get_by_text("Herunterladen").click()
    expect(answer.get_by_role("link", name="Untertitel (VTT)")).to_be_visible()
    reader.choose("Zeitachse")
    expect(reader.page.get_by_text("Gespräch öffnen")).to_be_visible()
    reader.page.screenshot(path=pictures / "language-timeline.png")
    assert reader.mistakes == []
