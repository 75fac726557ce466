"""A sound server for a browser: a loudspeaker nobody hears, and a microphone into which a test speaks."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PULSEAUDIO = shutil.which("pulseaudio")
MODULES = (
    "module-null-sink sink_name=loudspeaker",
    "module-null-sink sink_name=mouth",
    "module-remap-source master=mouth.monitor source_name=microphone",
)
STARTS_WITHIN_S = 30


@dataclass(frozen=True)
class SoundServer:
    """`environment` is for a browser; without a sound server, no sound begins in Firefox and WebKit."""

    environment: dict[str, str]

    def say(self, recording: Path) -> None:
        """Into the microphone, from now on to the end of the WAV file."""
        subprocess.run(["paplay", "--device=mouth", recording], env=self.environment, check=True, timeout=60)


@contextmanager
def sound_server(home: Path) -> Iterator[SoundServer]:
    if PULSEAUDIO is None:
        pytest.skip("pulseaudio is not installed")
    socket = home / "native"
    own = os.environ | {"HOME": str(home), "XDG_RUNTIME_DIR": str(home), "XDG_CONFIG_HOME": str(home)}
    modules = [*MODULES, f"module-native-protocol-unix auth-anonymous=1 socket={socket}"]
    options = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes"]
    process = subprocess.Popen(
        [PULSEAUDIO, *options, *(f"--load={module}" for module in modules)],
        env=own,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not socket.exists():
            assert process.poll() is None, "PulseAudio has ended."
            assert time.monotonic() < deadline, "PulseAudio did not start."
            time.sleep(0.05)
        yield SoundServer(own | {"PULSE_SERVER": f"unix:{socket}"})
    finally:
        process.terminate()
        process.wait(10)
