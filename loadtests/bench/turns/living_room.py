"""Sound from the other end of a living room, as a microphone hears it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from loadtests.client.recorded_speech import RATE

Sound = NDArray[np.float32]
_ECHO_S, _ECHO_DB = 0.45, 2.0
"""Reverberation time, and by how much it is louder than the direct sound."""
_ACTIVE: Final = 1_000
"""Windows within 30 dB of the loudest are speech."""


def active_db(sound: Sound) -> float:
    """Level of the windows within 30 dB of the loudest, in dB of a square of one unit of 16 bits."""
    powers = (sound[: len(sound) // 512 * 512].reshape(-1, 512).astype(np.float64) ** 2).mean(axis=1)
    return float(10 * np.log10(powers[powers > powers.max() / _ACTIVE].mean()))


def at_level(sound: Sound, db: float) -> Sound:
    """The sound with `db` as its `active_db`."""
    return sound * np.float32(10 ** ((db - active_db(sound)) / 20))


def room_response(dice: np.random.Generator, echo_s: float = _ECHO_S) -> Sound:
    """The direct sound and its reverberation, at 16 kHz: a sound convolved with it is heard in the room.

    `echo_s`: after so many seconds the reverberation is 60 dB softer.
    """
    after_s = np.arange(int(RATE * echo_s)) / RATE
    echo = dice.normal(0.0, 1.0, len(after_s)) * 10 ** (-3 * after_s / echo_s)
    echo *= 10 ** (_ECHO_DB / 20) / np.sqrt((echo**2).sum())
    echo[0] += 1
    return echo.astype(np.float32)


def in_room(sound: Sound, dice: np.random.Generator) -> Sound:
    """As loud as before, from the other end of the room."""
    heard: Sound = np.convolve(sound, room_response(dice))[: len(sound)].astype(np.float32)
    return at_level(heard, active_db(sound))
