"""Sound to listen to: real people, between silences, and what is no speech at all."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.stt.endpointing import Ended, Endpointer, Event
from pipeline.stt.vad import FRAME_BYTES, SileroVad
from schemas.settings.listening_settings import EndpointingSettings

RATE = 16_000
BEFORE_MS, AFTER_MS = 500, 3_000


@dataclass(frozen=True)
class Noise:
    name: str
    pcm: bytes


def pcm(sound: NDArray[np.float64]) -> bytes:
    return sound.round().clip(-32_768, 32_767).astype("<i2").tobytes()


def floats(sound: bytes) -> NDArray[np.float64]:
    return np.frombuffer(sound, "<i2").astype(float)


def silence(ms: int) -> bytes:
    return bytes(32 * ms)


def tone(ms: int, pitch_hz: float = 440.0, loudness: float = 8_000.0, rate: int = RATE) -> bytes:
    at = np.arange(ms * rate // 1_000) / rate
    return pcm(loudness * np.sin(2 * np.pi * pitch_hz * at))


def noises() -> list[Noise]:
    """Eight seconds each of what a microphone hears while nobody speaks."""
    samples = 8 * RATE
    white = np.random.default_rng(1).normal(0.0, 1.0, samples)
    rumble = np.cumsum(white - white.mean())
    clicks = np.zeros(samples)
    clicks[:: RATE // 3] = 20_000.0
    hum = sum(np.sin(2 * np.pi * 50 * n * np.arange(samples) / RATE) / n for n in (1, 2, 3))
    steps = np.where(np.arange(samples) // (RATE // 2) % 2, 3_000.0, 30.0)
    return [
        Noise("silence", bytes(2 * samples)),
        Noise("a faint hiss", pcm(30 * white)),
        Noise("a loud hiss", pcm(3_000 * white)),
        Noise("hiss in bursts", pcm(steps * white)),
        Noise("a rumble", pcm(8_000 * rumble / np.abs(rumble).max())),
        Noise("mains hum", pcm(4_000 * np.asarray(hum))),
        Noise("clicks", pcm(clicks)),
        Noise("a whistle", tone(8_000, 1_200)),
    ]


def cough() -> NDArray[np.float64]:
    """A cough made by rule: a burst of air, breath through an open throat, and a voiced end; 0.4 s."""
    dice = np.random.default_rng(3)
    at_s = np.arange(RATE * 4 // 10) / RATE
    breath = dice.normal(0.0, 1.0, len(at_s)) * (np.exp(-at_s / 0.02) + 0.35 * np.exp(-at_s / 0.12))
    voiced_s = np.clip(at_s - 0.22, 0.0, None)
    voice = 0.5 * ((voiced_s * 130.0) % 1.0 - 0.5) * np.exp(-voiced_s / 0.05)
    spectrum = np.fft.rfft(breath + voice)
    pitch = np.fft.rfftfreq(len(at_s), 1 / RATE)
    throat = sum(1 / (1 + ((pitch - peak) / 250) ** 2) for peak in (600.0, 1_500.0, 2_600.0))
    heard = np.fft.irfft(spectrum * throat, len(at_s))
    return np.asarray(20_000.0 * heard / np.abs(heard).max())


def frames(sound: bytes) -> Iterator[bytes]:
    """The whole frames of it."""
    for at in range(0, len(sound) - FRAME_BYTES + 1, FRAME_BYTES):
        yield sound[at : at + FRAME_BYTES]


def probabilities(sound: bytes) -> list[float]:
    vad = SileroVad()
    return [vad.probabilities(frame)[0] for frame in frames(sound)]


def told(heard: list[float], settings: EndpointingSettings, *, manual: bool = False) -> list[Event]:
    """Everything that is said about these frames, when nothing comes after them."""
    endpointer = Endpointer(settings, manual=manual)
    events = [event for probability in heard for event in endpointer.push(probability)]
    return events + endpointer.close()


def utterances(events: list[Event]) -> list[Ended]:
    return [event for event in events if isinstance(event, Ended)]


def spoken_ms(sound: bytes) -> tuple[int, int]:
    """Bounds of the speech in a clean recording, by its loudness in steps of 10 ms.

    The floor is the quietest tenth; speech is 15 dB above that, and above a fiftieth of the loudest step.
    """
    samples = floats(sound)
    steps = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    loudness = np.sqrt((steps**2).mean(axis=1)) + 1.0
    floor = np.sort(loudness)[: max(1, len(loudness) // 10)].mean()
    loud = np.flatnonzero(loudness > max(floor * 10 ** (15 / 20), loudness.max() / 50))
    return 10 * int(loud[0]), 10 * int(loud[-1] + 1)


def said(*stretches: tuple[int, float]) -> list[float]:
    """So many frames of this probability, one stretch after the other."""
    return [probability for count, probability in stretches for _ in range(count)]
