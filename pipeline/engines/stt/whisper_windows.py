"""How much sound Whisper is shown at a time, and what to make of what it says: decisions without a model."""

import math
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.stt.pcm_samples import RATE

Sound = NDArray[np.float32]
FULL_S: Final = 30
"""Window that Whisper was trained on, and the longest that it takes."""
_MARGIN_S: Final = 1.0
_STEP_S: Final = 2
_TOKENS: Final = 16
_TOKENS_PER_S: Final = 8
_MOST_TOKENS: Final = 224
_LOOP: Final = 2.4
"""Text that zlib makes so many times shorter repeats itself."""
_FRAME: Final = RATE // 50
_SILENT: Final = 5e-4
"""No microphone is as quiet as this: it is switched off, or the sound is made."""
NO_SPEECH: Final = 0.6
_UNSURE: Final = -1.0
"""Whisper's own rule: above the first and below the second nobody spoke."""
_UNLIKELY: Final = ((0.4, -1.4), (0.0, -1.8))
"""And ours, in the same order: what speech we have, down to 0.8 s of it, is not touched by them."""
_HABITS: Final = frozenset(
    ("i", "im sorry", "so", "and", "the", "you", "bye", "okay", "thanks", "thank you", "thanks for watching")
)
"""Texts that Whisper writes when the sound is a knock or a breath."""
_HABIT_NO_SPEECH: Final = 0.5
_ONSET: Final = 0.01
_HOLD: Final = RATE // 4
"""A cut goes through the middle of the quietest piece so long."""
_LEAD: Final = RATE * 3 // 10
_BEFORE: Final = RATE * 6 // 10
_AFTER: Final = RATE * 2 // 10


def window_s(length_s: float, shortest_s: int) -> int:
    """Seconds of the window for sound so long: the encoder's work grows with it.

    Shorter windows than 8 s, and windows without silence behind the speech, make it repeat itself.
    """
    wished = math.ceil((length_s + _MARGIN_S) / _STEP_S) * _STEP_S
    return min(FULL_S, max(shortest_s, wished))


def most_tokens(length_s: float) -> int:
    """More than anybody says in so many seconds: whoever needs them all is in a loop."""
    return min(_MOST_TOKENS, int(_TOKENS + _TOKENS_PER_S * length_s))


def repeats_itself(text: str) -> bool:
    data = text.encode()
    return len(data) > _LOOP * len(zlib.compress(data))


def is_silent(sound: Sound) -> bool:
    """True if not even 20 ms of it hold anything."""
    frames = sound[: len(sound) // _FRAME * _FRAME].reshape(-1, _FRAME)
    return len(frames) == 0 or float((frames**2).mean(axis=1).max()) < _SILENT**2


def stammers(text: str) -> bool:
    """True if a word comes four times in a row, or a phrase twice: maybe said so, maybe made so."""
    words = _letters(text).split()
    return any(
        words[at : at + size] * times == words[at : at + size * times]
        for size, times in ((1, 4), *((size, 2) for size in range(3, len(words) // 2 + 1)))
        for at in range(len(words) - size * times + 1)
    )


def onset_ms(sound: Sound) -> int:
    """First sample of the sound that is loud, compared with its loudest 20 ms."""
    frames = sound[: len(sound) // _FRAME * _FRAME].reshape(-1, _FRAME)
    power = (frames**2).mean(axis=1)
    return int(np.argmax(power >= power.max() * _ONSET)) * 20 if len(power) else 0


def is_invented(text: str, no_speech: float, likelihood: float, *, doubt: float = NO_SPEECH) -> bool:
    """True if the text is more likely made up than spoken.

    `no_speech` is the probability of that token, `likelihood` the average log probability of the others.
    `doubt`: from which `no_speech` on this model means it.
    """
    letters = _letters(text).strip()
    if not letters:
        return True
    if no_speech > _HABIT_NO_SPEECH and (letters in _HABITS or stammers(text)):
        return True
    return any(no_speech > least and likelihood < most for least, most in ((doubt, _UNSURE), *_UNLIKELY))


def lead_in(sound: Sound) -> int:
    """Samples to leave out at the beginning: after long silence, short windows say everything twice."""
    skipped = onset_ms(sound) * RATE // 1_000 - _LEAD
    return skipped if skipped > _LEAD else 0


def cut(sound: Sound, longest_s: float) -> list[tuple[int, int]]:
    """Cuts sound so that no part is longer: at the quietest place of each part's second half."""
    longest = int(longest_s * RATE)
    parts, start = [], 0
    while len(sound) - start > longest:
        half = start + longest // 2
        end = half + _quietest(sound[half : start + longest])
        parts.append((start, end))
        start = end
    return [*parts, (start, len(sound))]


def quiet_near(sound: Sound, place: int) -> int:
    """The quietest place around a time that may be somewhat late."""
    first = max(0, place - _BEFORE)
    return first + _quietest(sound[first : place + _AFTER])


def _quietest(sound: Sound) -> int:
    power = np.concatenate([[0.0], np.cumsum(sound.astype(np.float64) ** 2)])
    if len(power) <= _HOLD:
        return len(sound) // 2
    return int(np.argmin(power[_HOLD:] - power[:-_HOLD])) + _HOLD // 2


def _letters(text: str) -> str:
    return "".join(sign for sign in text.lower() if sign.isalnum() or sign.isspace())
