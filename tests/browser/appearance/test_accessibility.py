"""axe finds nothing on any screen, in either colour scheme and in forced colours."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conversations_page import BEES, BROKEN, added, attach, file, row
from tests.browser.page_reader import ALL, OF_COLOURS, Reader
from tests.browser.stories_page import new_story, open_chapters, read_out
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "forced colours": {"color_scheme": "light", "forced_colors": "active"},
}
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
SCREENS = {
    "welcome": "/",
    "stories": "/?stories",
    "characters": "/?characters",
    "knowledge": "/?collections",
    "conversation": "/?session={session}",
    "timeline": "/?timeline={session}",
    "story": "{story}",
    "talk": "/?thread={thread}",
    "no such session": "/?session=0190a000-0000-7000-8000-000000000000",
    "compare": "/?compare",
    "settings": "/",
    "actions": "/?session={session}",
    "character and knowledge": "/?thread={thread}",
    "files of a chat": "/",
    "drawer": "/?session={session}",
    "reference": "/docs",
}


@pytest.fixture(scope="module")
def ids(app: RunningApp) -> dict[str, str]:
    with httpx.Client(base_url=app.url, timeout=30) as http:
        session = http.post("/v1/sessions", json={"title": "Asked once"}).json()["session_id"]
        http.post(f"/v1/sessions/{session}/turns", json={"prompt": "in markdown"}).raise_for_status()
        thread = http.post("/v1/threads", json={"title": "A talk"}).raise_for_status().json()["id"]
    story = new_story(app.url, "The lamp", "briefly", "briefly, too")
    read_out(app.url, story)
    return {"session": session, "story": story, "thread": thread}


@pytest.mark.parametrize("screen", SCREENS)
def test_axe_finds_nothing_on_any_screen_in_any_look(
    open_page: OpenPage, ids: dict[str, str], screen: str
) -> None:
    reader = open_page(SCREENS[screen].format(**ids), viewport=PHONE if screen == "drawer" else DESKTOP)
    reader.page.get_by_role("heading", level=1).first.wait_for(state="attached")
    if screen == "conversation":
        reader.page.locator(".prose table").wait_for()
        reader.page.locator(".prose pre").wait_for()
    elif screen == "story":
        open_chapters(reader)
    elif screen == "settings":
        reader.page.click("#settings-button")
        reader.page.get_by_label("Minimum chunk length").wait_for()
    elif screen == "actions":
        reader.page.click("#more")
    elif screen == "character and knowledge":
        reader.page.click("#with")
        reader.page.get_by_label("Character", exact=True).wait_for()
    elif screen == "files of a chat":
        attach(reader, file("bees.md", BEES), BROKEN)
        added(reader, "The hive")
        expect(row(reader, "broken.pdf")).to_have_attribute("data-state", "failed")
    elif screen == "drawer":
        reader.page.click("#open-sidebar")
        reader.page.locator(".history li").first.wait_for()
    found = []
    for look, media in LOOKS.items():
        reader.page.emulate_media(**media)
        options = ALL if look == "light" else OF_COLOURS
        for one in reader.violations(options):
            found.append((look, one["id"], [node["html"][:120] for node in one["nodes"]]))
    assert found == []
