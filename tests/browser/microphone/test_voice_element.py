"""`<rhapsode-voice>` on a page of another site, whose user has a token: a conversation by voice."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from pipeline.auth.api_keys import create_key
from pipeline.core.clock import SystemClock
from tests.browser.browser_microphone import CLUBS, Hears, record
from tests.browser.page_reader import LOOK_MS
from tests.support.running_app import RunningApp, running_app, scripted_settings
from tests.support.servers.other_site import OtherSite, other_site_running

pytestmark = pytest.mark.browser
QUESTION = "he was not an ill disposed young man"
REPLY = "The lamp was lit as on every evening. The fox slept by the stove."
HTML = """<!doctype html><title>Another site</title>
<script type="module" src="{app}/web/client/element.js"></script>
<rhapsode-voice src="{app}" key="{token}"></rhapsode-voice>
<script>
  const voice = document.querySelector("rhapsode-voice");
  const seen = {{ states: [], events: [], troubles: [] }};
  voice.addEventListener("state", ({{ detail }}) => seen.states.push(detail));
  voice.addEventListener("event", ({{ detail }}) => seen.events.push([detail.type, detail.data]));
  voice.addEventListener("trouble", ({{ detail }}) => seen.troubles.push(detail.code || detail.name));
</script>"""


@pytest.fixture(scope="module")
def other_site() -> Iterator[OtherSite]:
    with other_site_running() as server:
        yield server


@pytest.fixture(scope="module")
def closed(
    other_site: OtherSite, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningApp, httpx.Client]]:
    """An application that lets pages of the site in, and Anna's server, which has her key."""
    home = tmp_path_factory.mktemp("element")
    key, _ = create_key(home / "keys.jsonl", "anna", now_ms=SystemClock().now_ms())
    settings = scripted_settings(
        home,
        llm={"reply": REPLY, "delta_chars": 24, "per_delta_ms": 20},
        tts={"ms_per_char": 30},
        stt={"by_ms": {3_300: QUESTION, 60_000: "and what is more"}},
        auth={"allowed_origins": [other_site.url]},
    )
    with (
        running_app(settings) as running,
        httpx.Client(base_url=running.url, headers={"Authorization": f"Bearer {key}"}) as anna,
    ):
        yield running, anna


@pytest.fixture
def site(
    closed: tuple[RunningApp, httpx.Client],
    other_site: OtherSite,
    hears: Hears,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[Page]:
    """The page in a browser whose microphone hears the young man, unless the test says that it may not."""
    app, anna = closed
    other_site.files["/"] = HTML.format(app=app.url, token=anna.post("/v1/tokens").json()["token"])
    allowed = getattr(request, "param", True)
    recording = record(tmp_path / "speech.wav", 0.5, CLUBS, 60.0)
    with closing(hears(recording, allowed=allowed).new_page()) as page:
        mistakes: list[str] = []
        page.on("pageerror", lambda error: mistakes.append(str(error)))
        page.goto(other_site.url)
        yield page
        assert mistakes == []


def seen(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.evaluate("JSON.stringify(seen)"))
    return found


def test_speech_is_answered_aloud_and_the_button_ends_it(
    site: Page, closed: tuple[RunningApp, httpx.Client], pictures: Path
) -> None:
    site.get_by_role("button", name="Talk").click()
    expect(site.locator("rhapsode-voice[data-state=listening]")).to_be_visible()
    expect(site.get_by_role("status")).to_have_text("Listening")
    site.wait_for_function("seen.states.includes('speaking')", polling=LOOK_MS)
    site.screenshot(path=pictures / "voice-element.png")
    site.wait_for_function("seen.events.some(([type]) => type === 'playback.ended')", polling=LOOK_MS)
    expect(site.locator("rhapsode-voice[data-state=listening]")).to_be_visible()
    site.get_by_role("button", name="Stop").click()
    expect(site.get_by_role("button", name="Talk")).to_be_visible()
    found = seen(site)
    states = found["states"]
    assert states[0] == "connecting"
    assert [one for one in states if one in ("hearing", "speaking")] == ["hearing", "speaking"]
    assert (states[-1], found["troubles"]) == ("off", [])
    _, anna = closed
    [turn] = anna.get("/v1/sessions/" + site.evaluate("voice.sessionId")).json()["turns"]
    assert turn["text"] == QUESTION, turn
    [ended] = [data for kind, data in found["events"] if kind == "playback.ended"]
    assert abs(ended["heard_ms"] - turn["audio_ms"]) <= 20


@pytest.mark.parametrize("site", [False], indirect=True)
def test_a_microphone_that_is_refused_is_said_in_words(site: Page) -> None:
    site.get_by_role("button", name="Talk").click()
    expect(site.get_by_role("status")).to_contain_text("The microphone is not allowed here")
    expect(site.get_by_role("button", name="Talk")).to_be_visible()
    assert seen(site)["troubles"] == ["NotAllowedError"]


def test_a_token_that_is_not_good_is_told_and_renewed(site: Page) -> None:
    token = site.evaluate("voice.getAttribute('key')")
    site.evaluate("voice.setAttribute('key', 'forged')")
    site.get_by_role("button", name="Talk").click()
    site.wait_for_function("seen.troubles.length > 0", polling=LOOK_MS)
    assert seen(site)["troubles"] == ["auth.invalid"]
    site.evaluate("(token) => { voice.renew = async () => token; }", token)
    site.get_by_role("button", name="Talk").click()
    expect(site.locator("rhapsode-voice[data-state=listening]")).to_be_visible()
    site.evaluate("voice.remove()")
    site.wait_for_function("seen.states.at(-1) === 'off'", polling=LOOK_MS)


def test_a_turn_is_played_to_its_end(site: Page, closed: tuple[RunningApp, httpx.Client]) -> None:
    app, _ = closed
    site.get_by_role("button", name="Talk").focus()
    site.keyboard.press("Shift")  # a gesture
    played = site.evaluate(
        """async ({ url, token }) => {
            const { Rhapsode } = await import(`${url}/web/client/index.js`);
            const session = await new Rhapsode(url, { key: token }).create();
            const context = globalThis.AudioContext;
            const opened = [];
            globalThis.AudioContext = class extends context {
                constructor(options) { super(options); opened.push(this); }
            };
            const turn = await session.say("Good morning.");
            await turn.speak();
            let ms = 0;
            for await (const { type, data } of turn.events()) {
                if (type === "turn.completed") ms = data.audio_ms;
            }
            return { ms, clock: opened[0].currentTime * 1000, state: opened[0].state };
        }""",
        {"url": app.url, "token": site.evaluate("voice.getAttribute('key')")},
    )
    assert played["ms"] > 0
    assert played["clock"] >= played["ms"]
    assert played["state"] == "closed"
