"""The JavaScript client as TypeScript sees it, and its hook in React as npm brings it, in Chromium."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.browser_microphone import CHROMIUM, YOUNG_MAN, browser_that_hears, record
from tests.support.running_app import RunningApp, running_app, scripted_settings
from tests.support.servers.other_site import OtherSite, other_site_running

_HERE: Final = Path(__file__).parent / "javascript"
_PROGRAMS: Final = _HERE / "node_modules" / ".bin"
_QUESTION: Final = "he was not an ill disposed young man"
_STORY: Final = "The lamp was lit as on every evening. The fox slept by the stove."
Open = Callable[..., Page]
pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(not _PROGRAMS.exists(), reason='React is not installed: "make env-clients"'),
]
expect.set_options(timeout=30_000)


def test_the_types_are_right_and_refuse_what_is_not() -> None:
    done = subprocess.run(
        [_PROGRAMS / "tsc", "-p", "."], cwd=_HERE, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def site(bundle: str) -> Iterator[OtherSite]:
    html = '<!doctype html><div id="root"></div><script type="module" src="/hook.js"></script>'
    with other_site_running() as server:
        server.files |= {"/": html, "/hook.js": bundle}
        yield server


@pytest.fixture(scope="module")
def app(site: OtherSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    settings = scripted_settings(
        tmp_path_factory.mktemp("hook"),
        llm={"reply": _STORY, "reply_to": {"slowly": _STORY * 9}, "delta_chars": 6, "per_delta_ms": 25},
        tts={"ms_per_char": 30},
        stt={"by_ms": {3_300: _QUESTION, 60_000: "and what is more"}},
        auth={"allowed_origins": [site.url]},
    )
    with running_app(settings) as running:
        yield running


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = tmp_path_factory.mktemp("bundle") / "page.js"
    options = ["--bundle", "--format=esm", "--jsx=automatic", "--preserve-symlinks", "--log-level=warning"]
    subprocess.run(
        [_PROGRAMS / "esbuild", "page.jsx", *options, f"--outfile={made}"], cwd=_HERE, check=True, timeout=120
    )
    return made.read_text()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Its microphone hears the young man, once a page asks for it."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    recording = record(tmp_path_factory.mktemp("speech") / "speech.wav", 1.0, YOUNG_MAN, 60.0)
    with sync_playwright() as playwright:
        first = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with browser_that_hears(first, recording) as browser:
            yield browser
        first.close()


@pytest.fixture
def visit(app: RunningApp, site: OtherSite, chromium: Browser) -> Iterator[Open]:
    """Opens the page, on a site that the server lets in."""
    context = chromium.new_context()
    mistakes: list[str] = []

    def opened(speed: str = "1") -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: mistakes.append(str(error)))
        page.goto(f"{site.url}/?{urlencode({'url': app.url, 'speed': speed})}")
        return page

    yield opened
    context.close()
    assert mistakes == []


def send(page: Page, text: str) -> None:
    page.get_by_role("textbox").fill(text)
    page.get_by_role("button", name="Send").click()


def test_answers_are_messages_while_they_are_written_and_can_be_stopped(visit: Open) -> None:
    page = visit()
    send(page, "A story, please.")
    expect(page.locator(".user")).to_have_text(["A story, please."])
    expect(page.locator(".assistant[data-status=complete]")).to_have_text([_STORY])
    assert page.evaluate("statuses") == ["ready", "submitted", "streaming", "ready"]
    page.get_by_role("button", name="Greet").click()
    expect(page.locator(".assistant[data-status=complete]")).to_have_text([_STORY, "Good morning."])
    send(page, "And now slowly.")
    expect(page.locator(".assistant").nth(2)).to_contain_text("The lamp")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".assistant[data-status=stopped]")).to_have_count(1)
    expect(page.locator("main[data-status=ready]")).to_be_visible()


def test_a_refusal_is_the_error_with_its_code_and_field(visit: Open) -> None:
    page = visit(speed="99")
    send(page, "A story, please.")
    expect(page.locator("#error")).to_have_text("input.invalid settings.speech_speed")
    expect(page.locator("main[data-status=error]")).to_be_visible()


def test_a_spoken_question_is_a_message_and_its_answer_is_heard(visit: Open) -> None:
    page = visit()
    page.get_by_role("button", name="Voice").click()
    expect(page.locator(".user")).to_have_text([_QUESTION])
    expect(page.locator(".assistant[data-status=complete]")).to_have_text([_STORY])
    page.wait_for_function("voices.includes('speaking') && voices.at(-1) === 'listening'")
    page.get_by_role("button", name="Voice").click()
    expect(page.locator("main[data-voice=off]")).to_be_visible()
    page.get_by_role("button", name="Voice").click()
    expect(page.locator("main[data-voice=listening]")).to_be_visible()
    page.get_by_role("button", name="Leave").click()
    expect(page.locator("main")).to_have_count(0)
    page.get_by_role("button", name="Leave").click()
    expect(page.locator("main[data-voice=off]")).to_be_visible()
