"""Voice mode: a conversation with nothing else in the window, what it shows, and the way out of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.browser_microphone import YOUNG_MAN, Visit, asked, state_is
from tests.browser.page_reader import Reader
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.browser

FIRST = "he was not an ill disposed young man"
REPLY = (
    "The lamp was lit as on every evening. The fox slept by the stove all night, and the keeper wrote "
    "a letter to her sister about the weather."
)
LOOKS: dict[str, dict[str, Any]] = {
    "desktop-light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "desktop-dark": {"viewport": {"width": 1920, "height": 1080}, "color_scheme": "dark"},
    "phone-light": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
    "phone-dark": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
    "small": {"viewport": {"width": 320, "height": 568}, "reduced_motion": "reduce"},
    "landscape": {"viewport": {"width": 844, "height": 390}, "color_scheme": "dark"},
    "forced": {"viewport": {"width": 768, "height": 1024}, "forced_colors": "active"},
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    settings = scripted_settings(
        tmp_path_factory.mktemp("voice_mode"),
        llm={"reply": REPLY, "delta_chars": 6, "per_delta_ms": 5},
        tts={"ms_per_char": 60},
        stt={"by_ms": {3_300: FIRST, 60_000: FIRST}},
    )
    with running_app(settings) as running:
        yield running


def begin(reader: Reader) -> None:
    reader.page.get_by_role("button", name="Start a voice chat").click()
    expect(reader.page.locator("body[data-voice]")).to_have_count(1)


@pytest.mark.parametrize("look", LOOKS)
def test_voice_mode_fits_every_window_and_axe_finds_nothing(visit: Visit, pictures: Path, look: str) -> None:
    reader = visit(1.0, YOUNG_MAN, 60.0, **LOOKS[look])
    begin(reader)
    reader.page.wait_for_function("() => document.querySelector('.coming .firm')?.textContent.length > 3")
    reader.page.screenshot(path=pictures / f"voice-{look}-listening.png")
    asked(reader)
    state_is(reader, "speaking")
    reader.hears(900)
    reader.page.screenshot(path=pictures / f"voice-{look}-speaking.png")
    expect(reader.page.locator(".sentence.speaking")).to_be_in_viewport()
    for control in ("#mute", "#hang-up", "#expand", "#ear-state"):
        expect(reader.page.locator(control)).to_be_in_viewport()
    assert reader.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found = Axe().run(reader.page).response["violations"]
    assert [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found] == []
