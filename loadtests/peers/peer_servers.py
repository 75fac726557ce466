"""Servers of a race in processes of their own, and the stages of an answer as the engines saw them."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from loadtests.report.tables import ROOT
from loadtests.servers.rhapsode_process import answers, child_process, free_port

Marks = Mapping[str, Sequence[tuple[float, float]]]
"""Engine (as in KINDS) to pairs: when a request came, and when it had its first answer."""
STAGES: Final = (
    *("speech to text asked", "transcript", "language model asked", "first token"),
    *("text to speech asked", "first sound"),
)


def stages(marks: Marks, asked_s: float) -> dict[str, float]:
    """Milliseconds since the question, of what led to the first sound. Empty: other engines were at work."""
    voice = min(marks["speech"], default=None)
    if voice is None:
        return {}
    found = {"text to speech asked": voice[0], "first sound": voice[1]}
    model = max((mark for mark in marks["chat"] if mark[1] <= voice[0]), default=None)
    if model is not None:
        found |= {"language model asked": model[0], "first token": model[1]}
        heard = max((mark for mark in marks["stt"] if mark[1] <= model[0]), default=None)
        if heard is not None:
            found |= {"speech to text asked": heard[0], "transcript": heard[1]}
    return {stage: round((found[stage] - asked_s) * 1_000, 1) for stage in STAGES if stage in found}


_SYSTEMS: Final = Path(__file__).parent / "systems"
_PYTHON: Final = ROOT / ".venv-peers" / "bin" / "python"
_QUIET: Final = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "LOGURU_LEVEL": "WARNING"}
"""As in our own replicas: threads of idle engines sleep."""
_REST_S: Final = 30.0
_BREATH_S: Final = 0.5
"""Seconds of rest after the engines are idle, for clean-up beside them."""
KINDS: Final = ("chat", "speech", "stt")


def there_are_peers() -> bool:
    return (_PYTHON.parent.parent / ".made").is_file()


def there_is_realtimetts() -> bool:
    """It needs PyAudio even where it is mute, and that is built from source where PortAudio is."""
    return any(_PYTHON.parent.parent.glob("lib/python*/site-packages/pyaudio"))


@dataclass(frozen=True)
class EngineServices:
    """Addresses of the engines."""

    urls: Mapping[str, str]

    def environment(self) -> dict[str, str]:
        """Makes a Rhapsode know them as "box"."""
        names = {"chat": "LANGUAGE_MODEL", "speech": "TEXT_TO_SPEECH", "stt": "SPEECH_TO_TEXT"}
        known = {f"RHAPSODE_{names[kind]}__PROVIDERS__BOX__URL": url for kind, url in self.urls.items()}
        return known | {
            "RHAPSODE_LANGUAGE_MODEL__PROVIDERS__BOX__MODEL": "race",
            "RHAPSODE_TEXT_TO_SPEECH__PROVIDERS__BOX__KIND": "openai",
            "RHAPSODE_TEXT_TO_SPEECH__PROVIDERS__BOX__DEFAULT_VOICE": "joe",
            "RHAPSODE_SPEECH_TO_TEXT__PROVIDERS__BOX__STREAM": "false",
        }

    def rest(self) -> None:
        """Wait until nobody works, and a little longer. Raises RuntimeError after half a minute."""
        deadline = time.monotonic() + _REST_S
        while any(httpx.get(f"{url}/open", timeout=10).json() for url in self.urls.values()):
            if time.monotonic() > deadline:
                raise RuntimeError("an engine does not come to rest")
            time.sleep(0.05)
        time.sleep(_BREATH_S)

    def marks(self) -> Marks:
        """Of each engine: when requests came and had their first answer, since this was last asked."""
        found = {kind: httpx.get(f"{url}/marks", timeout=10).json() for kind, url in self.urls.items()}
        return {kind: [(came, answered) for came, answered in marks] for kind, marks in found.items()}


@contextmanager
def services(folder: Path, settings: Mapping[str, Any]) -> Iterator[EngineServices]:
    """The engines that `settings` (of AppSettings) name."""
    with ExitStack() as stack:
        urls = {}
        for kind in KINDS:
            port = free_port()
            command = [sys.executable, "-m", "loadtests.peers.engine_services"]
            command += [kind, str(port), json.dumps(settings)]
            urls[kind] = f"http://127.0.0.1:{port}"
            ready = answers(f"{urls[kind]}/open")
            stack.enter_context(child_process(command, folder / f"{kind}.txt", ready, environment=_QUIET))
        yield EngineServices(urls)


@contextmanager
def peer(folder: Path, system: str, wish: Mapping[str, Any]) -> Iterator[str]:
    """A server of `systems/`, told what `wish` says; yields its WebSocket's address."""
    port = free_port()
    command = [str(_PYTHON), str(_SYSTEMS / f"{system}_server.py"), str(port), json.dumps(wish)]
    ready = answers(f"http://127.0.0.1:{port}/")
    with child_process(command, folder / f"{system}-{port}.txt", ready, environment=_QUIET):
        yield f"ws://127.0.0.1:{port}/"
