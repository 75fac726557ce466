"""What somebody who tells a story does at the page, in words that tests can use."""

from typing import Any

import httpx
from playwright.sync_api import Locator, expect

from tests.browser.page_reader import Reader
from tests.support.eventlog.log_events import wait_for

DEFAULTS: dict[str, Any] = {
    "tts_enabled": True,
    "auto_play_last_scene": False,
    "realtime_tts_enabled": False,
    "min_sentence_length": 20,
    "default_voice": None,
    "speech_speed": 1.0,
    "tts_provider": None,
    "tts_timeout": None,
    "tts_extra_params": {},
}


def prefer(url: str, **wishes: Any) -> None:
    """The settings are the defaults, but for these."""
    httpx.put(f"{url}/api/tts/settings", json=DEFAULTS | wishes, timeout=30).raise_for_status()


def new_story(url: str, title: str = "The lighthouse", *prompts: str) -> str:
    """The address of a story's page; its scenes are written already."""
    with httpx.Client(base_url=url, timeout=30) as http:
        story = http.post("/api/stories", json={"title": title}).raise_for_status().json()["id"]
        for prompt in prompts:
            http.post(f"/api/stories/{story}/scenes", json={"custom_prompt": prompt}).raise_for_status()
    return f"/?story={story}"


def read_out(url: str, address: str) -> list[str]:
    """Has every scene of the story read out; the sessions in which they are, once they are complete."""
    story = address.partition("story=")[2]
    with httpx.Client(base_url=url, timeout=30) as http:
        scenes = [one["id"] for one in http.get(f"/api/stories/{story}").json()["scenes"]]
        made = [
            http.post(f"/api/tts/generate/{one}").raise_for_status().json()["session_id"] for one in scenes
        ]
        wait_for(lambda: _all_read(http, story), 120, every_s=0.1)
    return made


def _all_read(http: httpx.Client, story: str) -> bool:
    scenes = http.get(f"/api/stories/{story}").json()["scenes"]
    return all(one["narration"]["status"] == "ready" for one in scenes)


def open_chapters(reader: Reader) -> None:
    """Show a story's chapters, the voices of its first scene's paragraphs and its second scene's text."""
    scene(reader, 2).get_by_role("button", name="Edit text").click()
    scene(reader, 1).get_by_role("button", name="Voices").click()
    scene(reader, 1).locator("form select").first.wait_for()
    reader.page.locator("#chapters summary").click()


def story_of(reader: Reader) -> str:
    reader.page.wait_for_url("**/?story=*")
    return reader.page.url.partition("story=")[2].partition("#")[0]


def tell(reader: Reader, prompt: str, *, aloud: bool) -> None:
    """Ask for the next scene."""
    label = "Write and read aloud" if aloud else "Write"
    reader.page.get_by_text(label, exact=True).click()
    reader.ask(prompt)


def scene(reader: Reader, number: int) -> Locator:
    return reader.page.locator(f"#scene-{number}")


def written(reader: Reader, number: int) -> Locator:
    """The scene, once its text is whole."""
    expect(scene(reader, number)).to_have_attribute("data-status", "completed")
    return scene(reader, number)
