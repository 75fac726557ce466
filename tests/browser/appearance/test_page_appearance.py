"""What it looks like: the rules that can be asserted, and pictures for a person to look at."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.page_reader import Reader
from tests.browser.stories_page import new_story, open_chapters, read_out
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
DEVICES = {"phone": PHONE, "desktop": DESKTOP}
ZOOMED = {"width": 320, "height": 256}
MOVING = {"reduced_motion": "no-preference"}
WIDE_ENOUGH = "document.documentElement.scrollWidth <= innerWidth"


def picture(reader: Reader, folder: Path, name: str) -> None:
    """What is on show, in both sizes and both schemes; none scrolls sideways."""
    for (device, viewport), scheme in product(DEVICES.items(), ("dark", "light")):
        reader.page.set_viewport_size(viewport)
        reader.page.emulate_media(color_scheme=scheme)
        reader.page.screenshot(path=folder / f"{device}-{scheme}-{name}.png")
        assert reader.page.evaluate(WIDE_ENOUGH), (name, device)


def test_pictures_of_the_page(open_page: OpenPage, pictures: Path) -> None:
    reader = open_page(viewport=DESKTOP, **MOVING)
    reader.page.get_by_role("heading", name="What would you like to hear?").wait_for()
    picture(reader, pictures, "welcome")
    reader.ask("Tell me a story about a lighthouse keeper and a fox")
    reader.page.locator(".word.said").wait_for()
    picture(reader, pictures, "speaking")
    reader.page.get_by_role("button", name="Pause").click()
    expect(reader.page.locator("#doing")).to_have_text("Paused")
    reader.page.set_viewport_size({"width": 360, "height": 600})
    ends, begins = reader.page.evaluate(
        "[document.querySelector('#speed').getBoundingClientRect().right,"
        " document.querySelector('#doing').getBoundingClientRect().left]"
    )
    assert ends <= begins, "what is done does not cover the speed"


def test_a_phone_never_scrolls_sideways(open_page: OpenPage, pictures: Path) -> None:
    reader = open_page(viewport=PHONE)
    reader.ask("x" * 3_000)
    reader.page.locator("#problem").wait_for()
    reader.ask("W" * 400)
    reader.page.locator(".turn").wait_for()
    reader.page.click("#sound summary")
    reader.page.screenshot(path=pictures / "phone-light-panel.png")
    reader.page.keyboard.press("Escape")
    assert reader.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_focus_is_somewhere_wherever_one_goes_by_keyboard(open_page: OpenPage) -> None:
    page = open_page().page
    page.locator("a, button, input, select").first.focus()
    expect(page.get_by_role("link", name="Skip to the message box")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_be_focused()
    page.click("#developer-button")
    for link, heading in (
        ("Stories", "Stories"),
        ("Library", "Characters"),
        ("Knowledge", "Knowledge"),
        ("Compare two models or voices", "Compare"),
        ("New chat", "New chat"),
    ):
        page.get_by_role("link", name=link, exact=True).focus()
        page.keyboard.press("Enter")
        page.get_by_role("heading", name=heading, level=1).wait_for()
        page.wait_for_function("() => document.activeElement !== document.body")
        page.keyboard.press("Escape")
        assert page.evaluate("document.activeElement !== document.body"), link


@pytest.mark.parametrize("path", ["/?stories", "/?characters", "/?collections", "/?compare"])
def test_at_400_percent_every_control_of_a_place_can_be_reached(open_page: OpenPage, path: str) -> None:
    page = open_page(path, viewport=ZOOMED).page
    page.get_by_role("heading", level=1).wait_for()
    page.locator("#place").locator("input, select, textarea, button").first.wait_for()
    can_all_be_reached(page.locator("#page"))


def test_at_400_percent_the_chapters_and_forms_of_a_story_can_be_reached(
    open_page: OpenPage, app: RunningApp
) -> None:
    reader = open_page(story_read_out(app), viewport=ZOOMED)
    open_chapters(reader)
    can_all_be_reached(reader.page.locator("#chapters details"))
    reader.page.locator("#chapters summary").click()
    can_all_be_reached(reader.page.locator("#page"))


def can_all_be_reached(part: Locator) -> None:
    """Each control is in sight once it is scrolled to, and covered by nothing."""
    chosen_by_label = "label:has([type=radio]), input:not([type=radio])"
    for control in part.locator(f"button, select, textarea, a, {chosen_by_label}").all():
        if control.is_visible() and control.is_enabled():
            control.click(trial=True)


def story_read_out(app: RunningApp) -> str:
    address = new_story(app.url, "At every width", "briefly", "briefly, too")
    read_out(app.url, address)
    return address


def test_at_400_percent_the_text_is_in_sight_and_nothing_covers_it(open_page: OpenPage) -> None:
    reader = open_page(viewport=ZOOMED)
    reader.ask("a story at length")
    reader.page.locator(".word.said").wait_for()
    covered = """() => {
        const word = document.querySelector('.word.said');
        word.scrollIntoView({ block: 'center' });
        const box = word.getBoundingClientRect();
        const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
        const bars = [...document.querySelectorAll('.top, .dock')]
            .map((bar) => getComputedStyle(bar).position);
        return { shown: top?.closest('.prose') !== null, bars };
    }"""
    assert reader.page.evaluate(covered) == {"shown": True, "bars": ["static", "static"]}


def test_forced_colours_show_switches_the_spoken_word_and_an_opaque_dock(
    open_page: OpenPage, pictures: Path
) -> None:
    reader = open_page(forced_colors="active", viewport=DESKTOP)
    reader.ask("a story at length")
    reader.page.locator(".word.said").wait_for()
    reader.page.click("#sound summary")
    reader.page.screenshot(path=pictures / "desktop-forced-colours.png")
    looks = reader.page.evaluate("""() => {
        const style = (what) => getComputedStyle(document.querySelector(what));
        return {
            word: style('.word.said').backgroundColor !== style('.prose').backgroundColor,
            edge: style('#voice').borderTopWidth,
            dock: style('.dock').backgroundColor,
        };
    }""")
    assert looks == {"word": True, "edge": "1px", "dock": "rgb(255, 255, 255)"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_switches_and_fields_stand_out_three_to_one(open_page: OpenPage, scheme: str) -> None:
    reader = open_page(color_scheme=scheme)
    ratios = reader.page.evaluate("""() => {
        const luminance = (name) => {
            const probe = document.body.appendChild(document.createElement('i'));
            probe.style.color = `var(${name})`;
            const parts = getComputedStyle(probe).color.match(/[0-9.]+/g).map((part) => Number(part) / 255);
            probe.remove();
            const [red, green, blue] = parts.map(
                (part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
            return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
        };
        const edge = luminance('--edge');
        return ['--paper', '--raised'].map(luminance).map(
            (paper) => (Math.max(edge, paper) + 0.05) / (Math.min(edge, paper) + 0.05));
    }""")
    assert min(ratios) >= 3
    used = reader.page.evaluate("""() => [
        getComputedStyle(document.querySelector('#voices')).borderTopColor,
        getComputedStyle(document.documentElement).getPropertyValue('--edge')].map((colour) => {
            const probe = document.body.appendChild(document.createElement('i'));
            probe.style.color = colour;
            const seen = getComputedStyle(probe).color;
            probe.remove();
            return seen; })""")
    assert used[0] == used[1]


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
