"""Controls are large enough for a finger, and what is lit can be read in every scheme."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.browser.conversations_page import BEES, new_collection
from tests.browser.page_reader import Reader
from tests.browser.stories_page import new_story, open_chapters, read_out, scene
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]

PHONE: Any = {"width": 390, "height": 844}
DESKTOP: Any = {"width": 1280, "height": 720}
TOUCH = {"has_touch": True, "is_mobile": True, "viewport": PHONE}
EDGES = (352, 353, 544, 545, 640, 641, 1_023, 1_024, 1_279, 1_280)
"""Both sides of each width where a style sheet changes the page."""
WIDTHS = sorted({*range(320, 1_921, 40), *EDGES})
FOR_A_FINGER = 44
FOR_A_MOUSE = 24
_GO_TO_THE_LINK = """async () => {
  const bar = document.querySelector('#seek');
  const lit = () => document.querySelector('.prose a .word.said');
  for (let ms = 0; ms < Number(bar.max) && !lit(); ms += 60) {
    bar.value = String(ms);
    bar.dispatchEvent(new Event('change'));
    for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
  }
}"""
LIT = (".word.said", ".speaking", ".ahead", ".prose a .word.said")
_SMALL = """(least) => {
  const small = [];
  for (const control of document.querySelectorAll('a, button, summary, input, select, textarea')) {
    if (!control.checkVisibility({ visibilityProperty: true }) || control.closest('[inert]')) continue;
    if (control.matches('.cite') || getComputedStyle(control).display === 'inline') continue; // in a sentence
    const labelled = control.matches('[type=checkbox], [type=radio]');
    const target = (labelled && control.closest('label')) || control;
    const { width, height, right } = target.getBoundingClientRect();
    if (right < 0 || getComputedStyle(control).clipPath !== 'none') continue; // comes with the focus
    if (Math.min(width, height) >= least - 0.5) continue;
    small.push([innerWidth, target.outerHTML.slice(0, 90), width, height]);
  }
  return small;
}"""
_WATCH = """(wanted) => {
  const probe = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const known = {};
  const read = (colour) => {
    probe.clearRect(0, 0, 1, 1);
    probe.fillStyle = colour;
    probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data];
  };
  const parts = (colour) => (known[colour] ??= read(colour));
  const luminance = (colour) => {
    const [red, green, blue] = parts(colour).map((part) => part / 255).map(
      (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ground = (element) => {
    const own = (one) => getComputedStyle(one).backgroundColor;
    while (element && parts(own(element))[3] === 0) element = element.parentElement;
    return element ? own(element) : 'Canvas';
  };
  const ratio = (element) => {
    const both = [getComputedStyle(element).color, ground(element)];
    const [low, high] = both.map(luminance).sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  globalThis.least = {};
  const look = () => {
    for (const what of wanted) {
      const found = [...document.querySelectorAll(what)].map(ratio);
      if (found.length) least[what] = Math.min(...found, least[what] ?? 21);
    }
    requestAnimationFrame(look);
  };
  look();
}"""


@pytest.fixture
def paths(app: RunningApp) -> dict[str, str]:
    collection = new_collection(app.url, "For fingers", bees_md=BEES)
    with httpx.Client(base_url=app.url, timeout=30) as http:
        http.post("/v1/characters", json={"name": "Ines", "persona": "Dry."}).raise_for_status()
    story = new_story(app.url, "For fingers", "briefly", "briefly, too")
    read_out(app.url, story)
    return {
        "stories": "/?stories",
        "characters": "/?characters",
        "knowledge": "/?collections",
        "collection": f"/?collection={collection}",
        "compare": "/?compare",
        "story": story,
    }


def _bring_about(reader: Reader, screen: str) -> None:
    page = reader.page
    if screen == "chat":
        page.locator("#microphone:visible").wait_for()
        reader.ask("in markdown")
        reader.status_is("completed")
        page.locator(".keep summary").first.click()
        page.get_by_role("button", name="Pause").click()
        page.click("#sound summary")
    elif screen == "settings":
        reader.open_sidebar()
        page.click("#settings-button")
        page.get_by_label("Minimum chunk length").wait_for()
    elif screen == "side bar":
        reader.open_sidebar()
        page.locator(".history li").first.wait_for()
    elif screen == "developer":
        reader.ask("briefly")
        reader.status_is("completed")
        reader.open_sidebar()
        page.click("#developer-button")
        page.locator("#developer .events li").first.wait_for()
    elif screen == "story":
        scene(reader, 1).get_by_role("button", name="Play", exact=True).click()
        open_chapters(reader)
    else:
        page.locator("#place").locator("input, select, textarea, button").first.wait_for()


@pytest.mark.parametrize("fingers", [True, False], ids=["fingers", "mouse"])
def test_every_control_is_large_enough_at_every_width(
    open_page: OpenPage, app: RunningApp, paths: dict[str, str], fingers: bool
) -> None:
    small = []
    widths = [width for width in WIDTHS if width <= 1_024 or not fingers]
    reader = open_page("/web/icon.svg", **(TOUCH if fingers else {}))
    for screen in (*paths, "chat", "settings", "side bar", "developer"):
        reader.page.set_viewport_size(PHONE if fingers else DESKTOP)
        reader.page.goto(app.url + paths.get(screen, "/"))
        _bring_about(reader, screen)
        for width in widths:
            reader.page.set_viewport_size({"width": width, "height": 844})
            found = reader.page.evaluate(_SMALL, FOR_A_FINGER if fingers else FOR_A_MOUSE)
            small += [(screen, *one) for one in found]
            if reader.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                small.append((screen, width, "scrolls sideways"))
    told = "\n".join(sorted({f"{screen}: {about}" for screen, _, about, *_ in small}))
    assert told == ""


@pytest.mark.parametrize(
    "look",
    [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"forced_colors": "active"}],
    ids=["light", "dark", "forced colours"],
)
def test_lit_words_and_words_still_to_be_said_can_be_read(open_page: OpenPage, look: dict[str, str]) -> None:
    reader = open_page(**look)
    reader.page.evaluate(_WATCH, [*LIT, ".speaking a", ".tail"])
    reader.ask("in markdown")
    reader.status_is("completed")
    if reader.stats["turn"] is None:
        reader.page.get_by_role("button", name="Play", exact=True).click()
    reader.page.get_by_role("button", name="Pause").click()
    reader.page.evaluate(_GO_TO_THE_LINK)
    least = reader.page.evaluate("least")
    assert least.keys() >= set(LIT)
    assert min(least.values()) >= 4.5, least
