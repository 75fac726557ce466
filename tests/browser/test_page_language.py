"""The page is in the reader's language, and in the one that is chosen."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.appearance.test_targets_and_contrast import WIDTHS
from tests.browser.conversations_page import BROKEN, new_collection
from tests.browser.page_reader import Reader
from tests.support.running_app import RunningApp

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
    open_page: OpenPage, app: RunningApp, pictures: Path, locale: str, lang: str, heading: str
) -> None:
    asked: list[str] = []
    reader = open_page("/web/icon.svg", locale=locale)
    reader.page.on("request", lambda request: asked.append(request.url))
    reader.page.goto(app.url)
    expect(reader.page.get_by_role("heading", name=heading)).to_be_visible()
    assert reader.page.evaluate("document.documentElement.lang") == lang
    tables = {url.rsplit("/", 1)[1] for url in asked if "/strings/" in url}
    assert tables == ({f"{lang}.js", f"{lang}.later.js"} if lang != "en" else set())
    reader.page.screenshot(path=pictures / f"language-{lang}.png")
    assert reader.mistakes == []


def test_the_servers_refusals_are_in_the_pages_language(open_page: OpenPage, app: RunningApp) -> None:
    page = open_page(f"/?collection={new_collection(app.url)}", locale="de-DE").page
    page.set_input_files("#files", [BROKEN])  # type: ignore[list-item]
    failed = page.locator('li[data-state="failed"] .about')
    expect(failed).to_have_text("Diese Datei ist beschädigt oder von anderer Art, als ihr Name sagt.")
    page.goto(f"{app.url}/?session=0190a000-0000-7000-8000-000000000000")
    expect(page.get_by_role("alert").filter(has_text="Diese Sitzung gibt es nicht")).to_be_visible()


_BROKEN = """() => [...document.querySelectorAll('button, .quiet, summary, .modes span, legend')]
    .filter((one) => one.checkVisibility() && !one.closest('.suggestions, .history, [inert], .unseen'))
    .filter((one) => {
        const words = document.createRange();
        words.selectNodeContents(one);
        const lines = [...words.getClientRects()].filter(({ width, height }) => width > 1 && height > 8);
        const ends = Math.min(...lines.map(({ bottom }) => bottom));
        return lines.some(({ top }) => top >= ends);
    })
    .map((one) => one.innerText)"""
"""The words of controls that stand in more than one line."""


@pytest.mark.parametrize("locale", ["en", "de", "es", "fr", "zh"])
def test_no_label_of_a_control_breaks_at_320_px(open_page: OpenPage, pictures: Path, locale: str) -> None:
    reader = open_page("/", locale=locale, viewport={"width": 320, "height": 640}, voice=False)
    broken = []
    for place in ("/", "/?stories", "/?characters", "/?collections", "/?compare", "answer"):
        if place == "answer":
            reader.page.goto(reader.page.url.split("?")[0])
            reader.ask("briefly")
            reader.status_is("completed")
        else:
            reader.page.goto(reader.page.url.split("?")[0] + place[1:])
            reader.page.get_by_role("heading", level=1).wait_for()
            reader.page.wait_for_load_state("networkidle")
        broken += [(place, words) for words in reader.page.evaluate(_BROKEN)]
        reader.page.screenshot(path=pictures / f"label-{locale}-{place.strip('/?')}.png")
    assert broken == []


_DOCK = """() => {
  const wrong = [];
  const boxes = (part, skip) => [...document.querySelector(part).children]
    .filter((one) => one.checkVisibility() && !one.matches(skip))
    .map((one) => one.getBoundingClientRect()).filter(({ width, height }) => width > 2 && height > 2);
  for (const [part, skip] of [['.transport', 'none'], ['#player', '.seek'], ['#composer .modes', '.hint']]) {
    const all = boxes(part, skip);
    const ends = Math.min(...all.map(({ bottom }) => bottom));
    if (all.some(({ top }) => top >= ends)) wrong.push([innerWidth, part, 'stands in two lines']);
  }
  const modes = document.querySelector('#composer .modes').getBoundingClientRect();
  for (const one of document.querySelectorAll('#doing, #time, .hint, .modes span, .modes button')) {
    const { top } = one.getBoundingClientRect();
    const isGone = !one.checkVisibility() || (one.matches('.hint') && top >= modes.bottom);
    if (!isGone && one.scrollWidth > one.clientWidth + 1) wrong.push([innerWidth, one.innerText, 'is cut']);
  }
  if (document.documentElement.scrollWidth > innerWidth) wrong.push([innerWidth, 'scrolls sideways']);
  return wrong;
}"""


@pytest.mark.parametrize("locale", ["en", "de", "es", "fr", "zh"])
def test_the_dock_has_one_line_for_the_player_and_one_for_what_can_be_sent(
    open_page: OpenPage, pictures: Path, locale: str
) -> None:
    reader = open_page("/", locale=locale)
    reader.wait("true")
    reader.page.select_option("#typing", "queue", force=True)
    reader.ask("a story at length")
    reader.hears()
    wrong = []
    for state in ("heard", "with a question that waits", "paused"):
        if state == "with a question that waits":
            reader.ask("briefly")
            expect(reader.page.locator("#doing")).to_contain_text("1")
        elif state == "paused":
            reader.page.click("#pause")
            reader.page.click(".modes label:has([value=text])")
            expect(reader.page.locator("#open-file")).to_be_visible()
        for width in WIDTHS:
            reader.page.set_viewport_size({"width": width, "height": 800})
            wrong += [(state, *one) for one in reader.page.evaluate(_DOCK)]
            if width in (320, 544, 1_280):
                reader.page.screenshot(path=pictures / f"dock-{locale}-{width}-{state}.png")
    assert wrong == [], wrong


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
