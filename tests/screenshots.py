"""Pictures of every screen of the page, for the documentation and for a person to look at.

`make screenshots` runs it. The page is that of a running system with the packaged engines: one of its own, or
the one at `--url`. Each screen is brought about once, and pictured in all sizes and both colour schemes.
docs/pictures gets those in KEPT, and a picture and an animation for the README; `--all FOLDER` gets all.
"""

import argparse
import base64
import io
import sys
import tempfile
import time
import wave
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Final

import av
import httpx
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from pipeline.auth.api_keys import create_key
from schemas.settings import AppSettings
from tests.browser.browser_microphone import CHROMIUM
from tests.browser.page_reader import Reader
from tests.support import operator_functions
from tests.support.running_app import running_app, scripted_settings

PICTURES: Final = Path(__file__).resolve().parent.parent / "docs" / "pictures"
SIZES: Final = {"desktop": (1280, 800), "tablet": (820, 1180), "phone": (390, 844)}
SCHEMES: Final = ("light", "dark")
KEPT: Final = ("desktop-light", "phone-dark")
KEPT_ON_TABLETS: Final = ("answer", "story")
SCENES: Final = ("chats", "readme", "voice", "places", "compare", "signed-in")
MOST_ASKED: Final = 4
MOST_BYTES: Final = 4_000_000
FLAGS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]
STORY: Final = "Tell me a story about a lighthouse keeper and a fox"
SCENE: Final = (
    "Ines had kept the light for thirty years, and no letter had ever come to her.\n\n"
    "“Who would write to a lighthouse?” she asked the fox, and the fox had no answer."
)
QUESTION: Final = "Why does the moon change its shape?"
MANUAL: Final = """# Looking after the espresso machine

## The steam wand

Wipe the steam wand with a damp cloth after every use, and let steam out for two seconds. Soak its tip in hot
water once a week. Milk that has dried in the tip makes large bubbles.

## Scale

Descale the machine every two months: fill the tank with water and descaler, hold Steam and Cup together for
five seconds, and wait until the light is green again.
"""
SHOWN: Final = ".sentence.speaking, .delays, .sources, .columns .latency"
IN_VIEW: Final = f"document.querySelector('{SHOWN}')?.scrollIntoView({{ block: 'center' }})"


class Camera:
    """Pictures what a page shows, in all sizes and schemes."""

    def __init__(self, everything: Path | None) -> None:
        self._everything = everything
        self.taken: list[Path] = []

    def shoot(self, page: Page, name: str, *, moving: bool = False) -> None:
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            for scheme in SCHEMES:
                page.emulate_media(
                    color_scheme="dark" if scheme == "dark" else "light",
                    reduced_motion="no-preference" if moving else "reduce",
                )
                page.evaluate(IN_VIEW)
                self._keep(name, f"{size}-{scheme}", picture(page))
        page.set_viewport_size({"width": 1280, "height": 800})

    def _keep(self, name: str, look: str, webp: bytes) -> None:
        kept = look in KEPT or (look == "tablet-light" and name in KEPT_ON_TABLETS)
        for folder in (PICTURES if kept else None, self._everything):
            if folder is not None:
                self.taken.append(folder / f"{name}-{look}.webp")
                self.taken[-1].write_bytes(webp)


def picture(page: Page, scale: int = 1) -> bytes:
    """The window as WebP, once it has been painted, with `scale` pixels for each of CSS."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.wait_for_timeout(250)
    y = page.evaluate("scrollY")
    clip = {"x": 0, "y": y, **(page.viewport_size or {}), "scale": scale}
    session = page.context.new_cdp_session(page)
    taken = session.send("Page.captureScreenshot", {"format": "webp", "quality": 80, "clip": clip})
    session.detach()
    return base64.b64decode(taken["data"])


def animation(frames: Sequence[tuple[float, bytes]], path: Path) -> None:
    """PNG pictures, each with its time in seconds, as one animated WebP that begins again."""
    stills = [(round(at * 1_000), _still(png)) for at, png in frames]
    with av.open(str(path), "w", format="webp", options={"loop": "0"}) as file:
        stream: Any = file.add_stream("libwebp_anim", rate=1_000, options={"quality": "70"})
        stream.width, stream.height, stream.pix_fmt = stills[0][1].width, stills[0][1].height, "bgra"
        stream.codec_context.time_base = Fraction(1, 1_000)
        for at_ms, frame in stills:
            frame.pts, frame.time_base = at_ms, Fraction(1, 1_000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


def _still(png: bytes) -> av.VideoFrame:
    with av.open(io.BytesIO(png), "r") as file:
        return next(file.decode(video=0)).reformat(format="bgra")


class Prepared:
    """Documents, a character, stories and a question to speak are on the server before any picture."""

    def __init__(self, url: str) -> None:
        with httpx.Client(base_url=url, timeout=120) as http:
            manual = {"file": ("espresso.md", MANUAL.encode())}
            self.collection = http.post("/v1/collections", json={"name": "Espresso machine"}).json()["id"]
            documents = f"/v1/collections/{self.collection}/documents"
            http.post(documents, files=manual).raise_for_status()
            for _ in range(240):
                if [one["state"] for one in http.get(documents).json()["documents"]] == ["ready"]:
                    break
                time.sleep(0.5)
            else:
                raise TimeoutError("The manual was not read within two minutes.")
            persona = "Knows every machine in the café. Answers in one sentence."
            wish = {"name": "Ines", "persona": persona, "collections": [self.collection]}
            self.character = http.post("/v1/characters", json=wish).raise_for_status().json()["id"]
            for title in ("The night ferry", "A letter from the lighthouse"):
                self.story = http.post("/api/stories", json={"title": title}).raise_for_status().json()["id"]
            scene = http.post(f"/api/stories/{self.story}/scenes", json={"content": SCENE}).raise_for_status()
            http.post(f"/api/tts/generate/{scene.json()['id']}").raise_for_status()
            wish = {"model": "tts-1", "voice": "alloy", "input": QUESTION, "response_format": "wav"}
            said = http.post("/v1/audio/speech", json=wish)
            self.question = said.raise_for_status().content


def spoken_once(wav: bytes, path: Path) -> Path:
    """A recording for a microphone: a second of silence, and then this."""
    with wave.open(io.BytesIO(wav)) as said, wave.open(str(path), "wb") as file:
        file.setparams(said.getparams()._replace(nframes=0))  # a stream tells no number
        file.writeframes(bytes(2 * said.getframerate()) + said.readframes(10**7))
    return path


@contextmanager
def tab(browser: Browser, url: str, **context: Any) -> Iterator[Reader]:
    reader = Reader.at(browser, url, **context)
    reader.page.set_default_timeout(300_000)
    yield reader
    reader.close()


def noticed(browser: Browser, url: str) -> None:
    """Shows the news of what was prepared to a page that no picture has; five seconds count as told."""
    with tab(browser, url) as reader:
        reader.page.locator(".toast").first.wait_for()
        reader.page.wait_for_timeout(6_000)


def chats(browser: Browser, url: str, camera: Camera) -> None:
    """A chat from empty to offline, as its owner and as a guest sees it, and the developer panel."""
    with tab(browser, url) as reader:
        page = reader.page
        page.get_by_role("heading", name="What would you like to hear?").wait_for()
        camera.shoot(page, "chat")
        reader.ask(STORY)
        page.locator(".word.said").first.wait_for()
        camera.shoot(page, "running")
        reader.status_is("completed")
        page.get_by_role("button", name="Pause").click()
        camera.shoot(page, "answer")
        page.get_by_role("button", name="Developer panel").click()
        page.locator("#developer .events li").first.wait_for()
        camera.shoot(page, "developer")
        page.get_by_role("button", name="Developer panel").first.click()
        reader.choose("Share")
        page.get_by_role("button", name="Make a link").click()
        link = page.get_by_role("textbox", name="The link")
        expect(link).to_be_visible()
        camera.shoot(page, "share")
        with tab(browser, link.input_value()) as guest:
            guest.status_is("completed")
            camera.shoot(guest.page, "guest")
        page.keyboard.press("Escape")
        page.goto(f"{url}/?timeline={reader.session}")
        page.locator(".delays").first.wait_for()
        camera.shoot(page, "timeline")
        page.go_back()
        reader.status_is("completed")
        page.context.set_offline(True)
        page.get_by_text("You are offline.").wait_for()
        camera.shoot(page, "offline")


def places(browser: Browser, url: str, prepared: Prepared, camera: Camera) -> None:
    """Citations, stories, the library and the settings."""
    with tab(browser, url) as reader:
        page = reader.page
        sources = page.get_by_role("list", name="Sources").get_by_role("button")
        for _ in range(MOST_ASKED):  # a small model does not always tell its sources
            page.goto(f"{url}/?with={prepared.character}")
            reader.ask("How do I clean the steam wand?")
            reader.status_is("completed")
            page.keyboard.press("Escape")
            if sources.count() > 0:
                break
        camera.shoot(page, "citations")
        sources.first.click()
        page.locator("#passage mark").wait_for()
        camera.shoot(page, "passage")
        page.goto(f"{url}/?story={prepared.story}")
        reader.ask("One evening a letter was washed ashore")
        page.locator("#scene-2 .sentence").nth(3).wait_for()
        page.locator("#scene-2 .word.said").first.wait_for()
        page.get_by_role("group", name="Scenes").get_by_text("Scene 2 of 2").wait_for()
        camera.shoot(page, "story")
        page.locator("#chapters summary").click()
        camera.shoot(page, "chapters")
        for place, name in (
            ("stories", "stories"),
            ("characters", "library"),
            (f"collection={prepared.collection}", "knowledge"),
        ):
            page.goto(f"{url}/?{place}")
            page.locator(".shelf li").first.wait_for()
            camera.shoot(page, name)
        page.click("#settings-button")
        page.get_by_role("dialog", name="Settings").wait_for()
        camera.shoot(page, "settings")


def compare(browser: Browser, url: str, camera: Camera) -> None:
    """One question to two settings, once both have answered."""
    with tab(browser, f"{url}/?compare") as reader:
        both = [reader.page.get_by_role("region", name=name, exact=True) for name in ("A", "B")]
        for column, temperature in zip(both, ("0.2", "1.2"), strict=True):
            column.get_by_label("Temperature").fill(temperature)
            column.get_by_label("Length limit, tokens").fill("60")
        reader.ask(QUESTION)
        for column in both:
            column.locator("[data-status=completed]").wait_for()
        camera.shoot(reader.page, "compare")


def voice(playwright: Playwright, url: str, prepared: Prepared, camera: Camera, folder: Path) -> None:
    """Voice mode, while the answer to what was said is spoken."""
    recording = spoken_once(prepared.question, folder / "question.wav")
    flags = [*FLAGS, f"--use-file-for-fake-audio-capture={recording}%noloop"]
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
    with tab(browser, url) as reader:
        page = reader.page
        page.get_by_role("button", name="Start a voice chat").click()
        page.get_by_role("dialog", name="Save your audio?").wait_for()
        camera.shoot(page, "consent")
        page.get_by_role("button", name="Text only").click()
        page.locator('#voice-bar[data-state="speaking"]').wait_for()
        page.locator(".word.said").first.wait_for()
        camera.shoot(page, "voice", moving=True)
    browser.close()


def signed_in(browser: Browser, folder: Path, camera: Camera) -> None:
    """Of a server that knows its users by keys: its dialog, and an answer that tells a function's result."""
    home = folder / "keyed"
    ferry = [{"name": "ferry", "arguments": '{"harbour": "Oslo"}'}]
    llm = {
        "reply": "I am asking the harbour. Meanwhile, is there anything else?",
        "call_for": {"When does the ferry": ferry},
        "reply_to": {"leaves at nine": "The ferry from Oslo leaves at nine."},
    }
    function = {"entry_point": "tests.support.operator_functions:ferry", "asynchronous": True}
    settings = scripted_settings(home, llm=llm, tools={"functions": {"ferry": function}})
    key, _ = create_key(home / "keys.jsonl", "anna", now_ms=round(time.time() * 1_000))
    operator_functions.HELD.set()
    with running_app(settings, workers=True) as keyed, tab(browser, keyed.url) as reader:
        page = reader.page
        dialog = page.get_by_role("dialog", name="Sign in")
        dialog.wait_for()
        camera.shoot(page, "sign-in")
        wish = {"settings": {"tools": {"registered": ["ferry"]}}}
        headers = {"Authorization": f"Bearer {key}"}
        made = httpx.post(
            f"{keyed.url}/v1/sessions", json=wish, headers=headers, timeout=30
        ).raise_for_status()
        page.goto(f"{keyed.url}/?session={made.json()['session_id']}")
        dialog.get_by_label("Your API key").fill(key)
        dialog.get_by_role("button", name="Sign in").click()
        dialog.wait_for(state="detached")
        reader.ask("When does the ferry to Oslo leave?")
        page.get_by_role("article", name="Result of a function").wait_for()
        reader.status_is("completed")
        camera.shoot(page, "function")


def readme(browser: Browser, url: str) -> None:
    """A sharp picture of a running answer, and ten seconds of one from the question on."""
    with tab(browser, url, viewport={"width": 1120, "height": 640}, device_scale_factor=2) as reader:
        reader.ask("Describe a night train crossing the mountains")
        reader.page.locator(".sentence").nth(3).wait_for()
        reader.page.locator(".word.said").first.wait_for()
        (PICTURES / "page.webp").write_bytes(picture(reader.page, scale=2))
    with tab(browser, url, viewport={"width": 900, "height": 720}) as reader:
        reader.page.locator("#text").press_sequentially(STORY, delay=10)
        reader.page.evaluate("scrollTo(0, 0)")
        began, frames = time.monotonic(), [(0.0, reader.page.screenshot())]
        reader.page.press("#text", "Enter")
        while (at := time.monotonic() - began) < 10:
            frames.append((at, reader.page.screenshot()))
            reader.page.wait_for_timeout(120)
        animation(frames, PICTURES / "page-animated.webp")


def main(arguments: Sequence[str]) -> int:
    """Makes the pictures; 1 where those of the repository are larger than they may be."""
    parser = argparse.ArgumentParser("make screenshots", description=__doc__)
    parser.add_argument("--url", help="address of a running system; without it, one of its own is started")
    parser.add_argument("--only", nargs="+", choices=SCENES, default=SCENES, help="of the scenes")
    parser.add_argument("--all", type=Path, dest="everything", help="a folder for all sizes and schemes")
    chosen = parser.parse_args(arguments)
    for folder in (PICTURES, chosen.everything):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as open_things:
        folder = Path(open_things.enter_context(tempfile.TemporaryDirectory()))
        url = (
            chosen.url
            or open_things.enter_context(running_app(AppSettings(home=folder / "home"), workers=True)).url
        )
        prepared = Prepared(url)
        playwright = open_things.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        noticed(browser, url)
        camera = Camera(chosen.everything)
        scenes = {
            "chats": partial(chats, browser, url, camera),
            "readme": partial(readme, browser, url),
            "voice": partial(voice, playwright, url, prepared, camera, folder),
            "places": partial(places, browser, url, prepared, camera),
            "compare": partial(compare, browser, url, camera),
            "signed-in": partial(signed_in, browser, folder, camera),
        }
        for name in chosen.only:
            scenes[name]()
        browser.close()
    size = sum(path.stat().st_size for path in PICTURES.glob("*.webp"))
    print(f"{len(camera.taken)} pictures; those in {PICTURES.name} have {size / 1e6:.1f} MB")
    return int(size > MOST_BYTES)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
