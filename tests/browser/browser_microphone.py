"""A microphone into which a test speaks: Chromium plays a file where others have a device."""

import shutil
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from loadtests.client import recorded_speech
from tests.browser import session_log
from tests.browser.page_reader import Reader
from tests.support.running_app import RunningApp

YOUNG_MAN = "librivox/sense_and_sensibility_01_austen_64kb-0880.wav"
"""“He was not an ill-disposed young man”, 3 s."""
AMIABLE = "librivox/sense_and_sensibility_01_austen_64kb-0930.wav"
"""“He might even have been made amiable himself”, 3.3 s."""
CLUBS = "cards/003.wav"
"""“Seven of clubs”, 1.5 s: for tests whose transcriber is scripted."""
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
"""The one without windows opens a tab in half of the time."""
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
WATCHED = """() => {
    globalThis.tracks = [];
    const { mediaDevices } = navigator;
    const given = mediaDevices.getUserMedia.bind(mediaDevices);
    mediaDevices.getUserMedia = async (wishes) => {
        const stream = await given(wishes);
        tracks.push(...stream.getTracks());
        return stream;
    };
}"""
"""Keeps every track that the page gets of a microphone in `tracks`."""
Visit = Callable[..., Reader]
Hears = Callable[..., Browser]

ALLOWED = "--use-fake-ui-for-media-stream"
REFUSED = f"{ALLOWED}=deny"


def sound_of(part: str | float) -> bytes:
    """Of somebody who reads aloud, or so many seconds of silence."""
    return (
        recorded_speech.read(part) if isinstance(part, str) else bytes(2 * int(part * recorded_speech.RATE))
    )


def record(path: Path, *parts: str | float) -> Path:
    """The parts one after the other, as a WAV file."""
    if not recorded_speech.available():
        pytest.skip("pocketsphinx-testdata is not installed")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(recorded_speech.RATE)
        for part in parts:
            file.writeframes(sound_of(part))
    return path


@contextmanager
def browser_that_hears(
    chromium: Browser, recording: Path | None, *, allowed: bool = True
) -> Iterator[Browser]:
    """Another Chromium; its microphone is the recording, once, and then silent. None: it has none."""
    flags = [*_FLAGS, ALLOWED if allowed else REFUSED]
    if recording is not None:
        flags += [
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={recording}%noloop",
        ]
    browser = chromium.browser_type.launch(executable_path=CHROMIUM, args=flags)
    try:
        yield browser
    finally:
        browser.close()


def state_is(reader: Reader, *names: str) -> None:
    reader.page.locator(", ".join(f'#voice-bar[data-state="{name}"]' for name in names)).wait_for()


def asked(reader: Reader) -> str:
    """The question of the last turn, as the page shows it."""
    reader.page.locator(".turn .prompt").last.wait_for()
    return reader.page.locator(".turn .prompt").last.inner_text()


def of_type(app: RunningApp, reader: Reader, *types: str) -> list[dict[str, Any]]:
    return [event for event in session_log.events(app.url, reader.session) if event["type"] in types]
