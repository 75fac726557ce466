"""One Chromium and one running application for all tests of the page."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.running_app import RunningApp, running_app, scripted_settings

pytest.importorskip("playwright.sync_api", reason="the playwright package is not installed")

from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from tests.browser.browser_microphone import CHROMIUM, Hears, Visit, browser_that_hears, record
from tests.browser.network_cable import Cable, cable_to
from tests.browser.page_reader import PATIENCE_MS, Reader
from tests.browser.stories_page import prefer
from tests.support.servers.speech_server import FakeSpeechServer

STORY = (
    "At the edge of the northern sea there stood a lighthouse, and in it lived a keeper named Ines. "
    "Every evening she climbed the hundred and twelve steps and lit the great lamp. 🦊 \n\n"
    "One night in November something scratched at her door. “Who is there?” she called. "
    "A small red fox sat on the step, wet to the bone, and looked at her as if it had come a long way. "
    "She let it in, of course, and it lay down by the stove and watched the light go round the room. "
    "From that night on, two of them kept the light."
)
SHORT = "The lamp was lit as on every evening. The fox slept by the stove all night."
MARKUP = "Look: <img src=x onerror=\"document.title='owned'\"> & <b>bold</b>. That was all."
CITED = "Their combs are built of wax [1]. How they tell of flowers is another matter [2]. That is all."
MARKDOWN = (
    "# Brewing coffee\n\nYou need **three** things, says [the guide](https://example.org/coffee):\n\n"
    "1. A clean *cup* and some water.\n2. Ground beans:\n   - dark ones,\n   - or light ones.\n\n"
    "| Roast | Grams |\n|---|---:|\n| Dark | 18 |\n| **Light** | 20 |\n\n"
    "> Never boil it twice, [they say](javascript:alert(1)).\n\n"
    "```python\ndef brew(cup):\n    return cup * 2  # <b>strong</b>\n```\n\n"
    "Use `brew(2)` and wait for a **very long** while."
)
FORMULAS = (
    "Euler wrote $e^{i\\pi} + 1 = 0$ for $5 and $10.\n\n"
    "$$\n\\begin{aligned}\na &= \\frac{b}{c} \\\\\n+ d &= \\sqrt{2}\n\\end{aligned}\n$$\n\n"
    "* And \\(x_1\\), but not $\\nonsense{x}$ nor $x^$.\n\n"
    "$$\n\\begin{equation}\ny\\label{follow}\n\\end{equation}\n$$"
)
LISTS = (
    "Here is what **every keeper of a light** needs, and a *few words* about each of them, in order.\n\n"
    "1. A lamp that can be seen from afar, with oil for the whole of a long winter night.\n\n"
    "2. A book in which the ships are written down, and a [pencil for it](https://example.org/pencil).\n\n"
    "3. Glass that is wiped each morning:\n   - with a dry cloth,\n   - never with sand.\n\n"
    + "".join(
        f"{number}. Patience, for the **{number}th** time, not to be bought.\n" for number in range(4, 12)
    )
    + "\n### What it costs\n\nAll of it costs less than one ship, say those who have counted ships and lamps."
)
CLOUD = {"breaker_failures": 1_000, "voice_languages": {"alto": ["en"], "joe": ["de"]}}
STILL = {"reduced_motion": "reduce"}
VOICE_OFF = """if (origin !== "null") localStorage["rhapsode:preferences"] ??= '{"voice":false}'"""
expect.set_options(timeout=PATIENCE_MS)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]


@pytest.fixture(scope="package")
def app(running_remote: FakeSpeechServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    settings = scripted_settings(
        tmp_path_factory.mktemp("page"),
        llm={
            "reply": STORY,
            "reply_to": {
                "briefly": SHORT,
                "markup": MARKUP,
                "in markdown": MARKDOWN,
                "in lists": LISTS,
                "in formulas": FORMULAS,
                "a tall rule": "So tall: $\\smash{\\rule{2em}{18em}}$, and $\\frac{1}{2}$.",
                "hive": CITED,
                "at length": " ".join([STORY] * 8),
                "without end": " ".join([STORY] * 40),
                "told twice": " ".join([STORY] * 2),
            },
            "delta_chars": 12,
            "per_delta_ms": 50,
        },
        tts={"ms_per_char": 30},
        session={"max_tokens": 4_096},
        language_model={
            "providers": {"tea": {"url": "http://127.0.0.1:9", "model": "tea-1", "models": ["tea-2"]}}
        },
        text_to_speech={"providers": {"cloud": running_remote.given(**CLOUD)}},
        workers={"retry_s": 0.01},
        retrieval={"embedding": "wordllama", "judge": None, "limits": {"bytes": 400_000}},
        limits={"prompt_chars": 2_000, "queued_turns": 12},
    )
    with running_app(settings, workers=True) as running:
        yield running


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """Not for the whole session: Playwright keeps an event loop running that async tests would trip over."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="package")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture
def open_page(chromium: Browser, app: RunningApp) -> Iterator[Callable[..., Reader]]:
    """Opens tabs, each in a profile of its own, and closes them after the test.

    Nothing moves in them unless the test says so: what moves is drawn sixty times a second. `voice` is off
    where a test looks at words alone: an answer that is heard costs twice as much.
    """
    readers: list[Reader] = []

    def open_at(path: str = "/", *, voice: bool = True, **context: Any) -> Reader:
        profile = chromium.new_context(**STILL | context)
        if not voice:
            profile.add_init_script(VOICE_OFF)
        readers.append(Reader.at(profile, path if path.startswith("http") else app.url + path))
        return readers[-1]

    yield open_at
    app.stop_answers()
    for reader in readers:
        reader.close()


@pytest.fixture(scope="package")
def hears(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hears]:
    """Gives a Chromium whose microphone is the recording, from its beginning each time that it is opened.

    There is one for each of its kinds: a recording is read when a page opens the microphone.
    """
    sound = tmp_path_factory.mktemp("microphone") / "speech.wav"
    with ExitStack() as browsers:

        @cache
        def started(present: bool, allowed: bool) -> Browser:
            recording = sound if present else None
            return browsers.enter_context(browser_that_hears(chromium, recording, allowed=allowed))

        def hears(recording: Path | None, *, allowed: bool = True) -> Browser:
            if recording is not None:
                shutil.copyfile(recording, sound)
            return started(recording is not None, allowed)

        yield hears


@pytest.fixture
def visit(hears: Hears, app: RunningApp, tmp_path: Path) -> Iterator[Visit]:
    """Opens the page in a profile of its own, whose microphone hears the parts once it is switched on.

    Unless `consent` is false, the user has answered long ago that no audio is to be saved.
    """
    with ExitStack() as open_things:
        open_things.callback(app.stop_answers)

        def visit(
            *parts: str | float,
            url: str | None = None,
            allowed: bool = True,
            choices: dict[str, Any] | None = None,
            consent: bool = True,
            **context: Any,
        ) -> Reader:
            recording = record(tmp_path / "speech.wav", *parts) if parts else None
            tab = hears(recording, allowed=allowed).new_context(**STILL | context)
            if consent:
                kept = json.dumps(json.dumps({"record": False} | (choices or {})))
                tab.add_init_script(f"localStorage['rhapsode:listening'] ??= {kept}")
            reader = Reader(tab.new_page())
            open_things.callback(reader.close)
            reader.page.goto(url or app.url)
            return reader

        yield visit


@pytest.fixture
def default_settings(app: RunningApp) -> Iterator[None]:
    """Of narration, before the test and after it."""
    prefer(app.url)
    yield
    prefer(app.url)


@pytest.fixture
def cable(app: RunningApp) -> Iterator[Cable]:
    with cable_to(app.url) as cable:
        yield cable


@pytest.fixture
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the screenshots go that a person should look at."""
    folder = tmp_path_factory.getbasetemp() / "pictures"
    folder.mkdir(exist_ok=True)
    return folder
