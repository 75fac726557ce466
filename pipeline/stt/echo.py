"""Takes the echo of an answer out of a microphone's sound, by the answer's own sound."""

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from pipeline.stt.vad import FRAME_MS

Sound = NDArray[np.float32]
RATE: Final = 16_000
"""Samples per second of both sounds."""
PER_MS: Final = RATE // 1_000
FRAME: Final = FRAME_MS * PER_MS
_PARTS: Final = 10
"""Frames that a sound goes on in the room: 320 ms have all but a hundredth of a living room's energy."""
_DECAY: Final = 0.4
"""Expected of a room that is not known yet: each frame of its answer has this share of the energy of the one
before."""
_KEPT: Final = 0.995**2
"""Of what is known of the room, after one frame; a smaller share follows a moved microphone sooner, and
learns from a user's voice."""
_STEADY: Final = 0.8
"""Share of the frames before in the energy that other sound than the answer is taken to have."""
_NEWEST: Final = 3
"""Frames that are judged together, 96 ms."""
_CERTAIN: Final = 8.0
"""More than so many times the energy that the filter expects to leave of the echo is a user. With 4, an echo
that has just begun is one in every fifth run."""
_EXPLAINED: Final = 0.88
"""Share of the microphone's energy that comes from the answer, from which on nobody speaks over it. A user as
loud as the echo leaves 0.5, one that is 9 dB softer 0.9."""
_RECENT: Final = 8
_LOST: Final = 0.5
"""Where the filter leaves more than this share of the newest `_RECENT` frames, the answer may be elsewhere:
it is searched for again."""
_YOUNG: Final = 45
"""Frames of an audible answer from which on the filter knows what it leaves, 1.4 s. Before, the correlation
decides, over which a user as loud as the echo is not noticed."""
_AUDIBLE: Final = 100.0
"""Root mean square of a played frame, from which on it counts."""
_EARLY: Final = 8 * PER_MS
"""The filter begins so much before the delay that was found."""
_SEARCH_RATE: Final = 8_000
"""Speech above half of it is weak in an echo."""
_WINDOW: Final = 128
_HEARD_WINDOWS: Final = 6
_CORRELATED: Final = 0.42
"""Correlation from which on a delay is found. An echo mostly has 0.43 or more, a user 0.2, humming 0.38."""
_CORRELATED_AGAIN: Final = 0.3
"""The same at a delay that was the best one 32 ms ago too; those of a user change."""
_CORRELATED_HERE: Final = 0.3
"""The same at a delay that is known, while the filter is young."""
_CORRELATED_ELSEWHERE: Final = 0.45
"""The same for another delay than the one that explained the sound before."""
_SAME_PLACE: Final = 2 * PER_MS
_SEARCHED_MS: Final = 250
"""The newest sound whose delay is searched for; with more of it the user is noticed later."""
_SEARCHED: Final = _SEARCHED_MS * _SEARCH_RATE // 1_000
_SEARCHED_IN: Final = 32_768 - 2 * _SEARCHED
"""So much of the answer, its newest part: 3.6 s."""
_HARDLY_HEARD: Final = 0.01
"""Of the loudest 16 ms of a sound."""
_SMOOTH_HZ: Final = 120
_LEAST_ENERGY: Final = 0.02
"""Of the loudest stretch: quieter ones of the answer correlate with anything."""


@dataclass(frozen=True, slots=True)
class PlayedSound:
    """A part of an answer; `at` is the place of its first sample."""

    sound: Sound
    at: int

    def between(self, start: int, end: int) -> Sound:
        """The samples at these places of the answer, silence where it is not known."""
        known = self.sound[max(0, start - self.at) : max(0, end - self.at)]
        before = min(max(0, self.at - start), end - start)
        return np.pad(known, (before, end - start - before - len(known)))


class RoomFilter:
    """Way of a sound through loudspeaker, room and microphone, learnt while it is heard.

    A partitioned Kalman filter in blocks of the spectrum (Enzner and Vary, 2006): it learns little from
    frames in which a user speaks, and knows how much of the echo it leaves. Some 0.2 ms of CPU a frame.
    """

    def __init__(self, power: float) -> None:
        """`power`: of the microphone's sound, for each of the played sound."""
        shape = (_PARTS, FRAME + 1)
        self._room = np.zeros(shape, np.complex128)
        self._doubt = np.ones(shape) * power * (_DECAY ** np.arange(_PARTS))[:, None]
        """Variance of what is known of the room."""
        self._played = np.zeros(shape, np.complex128)
        self._last: Sound = np.zeros(FRAME, np.float32)
        self._other: NDArray[np.float64] | None = None

    def push(self, heard: Sound, played: Sound, *, learns: bool = True) -> tuple[Sound, float]:
        """Returns a frame without its echo, and the energy that is expected to be left of an echo alone.

        Where the sound is louder without the echo than with it, by more than that, the player stands still.
        """
        self._played[1:] = self._played[:-1].copy()
        left, doubtful = self._without(heard, played)
        if left @ left > heard @ heard + doubtful.sum() / FRAME:
            played = np.zeros_like(played)
            left, doubtful = self._without(heard, played)
        self._last = played
        spectrum = np.fft.rfft(np.concatenate([np.zeros(FRAME, np.float32), left]))
        energy = np.abs(spectrum) ** 2
        steady = energy if self._other is None else _STEADY * self._other + (1 - _STEADY) * energy
        self._other = steady
        if learns:
            source = np.abs(self._played) ** 2
            step = self._doubt / (doubtful + steady + 1.0)
            self._doubt *= _KEPT * np.maximum(1 - 0.5 * step * source, 0)
            self._doubt += (1 - _KEPT) * np.abs(self._room) ** 2
            change = np.fft.irfft(step * self._played.conj() * spectrum, axis=1)
            change[:, FRAME:] = 0
            self._room += np.fft.rfft(change, axis=1)
        return left, float(doubtful.sum()) / FRAME

    def _without(self, heard: Sound, played: Sound) -> tuple[Sound, NDArray[np.float64]]:
        """The frame without its echo, and by frequency the energy that is expected to be left of an echo."""
        self._played[0] = np.fft.rfft(np.concatenate([self._last, played]))
        echo = np.fft.irfft((self._room * self._played).sum(axis=0))[FRAME:]
        doubtful = 0.5 * (self._doubt * np.abs(self._played) ** 2).sum(axis=0)
        return heard - echo.astype(np.float32), doubtful


@dataclass(frozen=True, slots=True)
class _Energies:
    """Of one frame."""

    heard: float
    left: float
    expected: float


class EchoCanceller:
    """Takes the echo of one answer out of a microphone's sound.

    The delay is found by generalised cross-correlation of whitened spectra (Knapp and Carter, 1976).
    """

    def __init__(self) -> None:
        self._room: RoomFilter | None = None
        self._offset = 0
        """Place in the answer of the microphone's sample 0."""
        self._found: int | None = None
        """Where the last search had its best place."""
        self._recent: deque[_Energies] = deque(maxlen=_RECENT)
        self._learnt = 0
        """Frames of an audible answer since the place was found."""

    @property
    def is_known(self) -> bool:
        """Whether the place is known at which the answer is heard."""
        return self._room is not None

    @property
    def is_unsure(self) -> bool:
        """Whether to search where speech is left: the place is not known, was found a moment ago, or the
        newest sound is mostly something else than the answer at this place."""
        heard, left = (sum(getattr(each, name) for each in self._recent) for name in ("heard", "left"))
        return self._learnt < _YOUNG or left > _LOST * heard

    def take_out(
        self, heard: Sound, at: int, played: PlayedSound, *, learns: bool = True
    ) -> tuple[Sound, bool]:
        """One frame without the echo, and whether the newest 96 ms were nothing but the echo.

        `at`: place of the frame's first sample in the microphone's sound; frames come one after the other.
        Only if `is_known`.
        """
        assert self._room is not None
        start = self._offset + at
        source = played.between(start, start + FRAME)
        self._learnt += bool(source @ source > FRAME * _AUDIBLE**2)
        left, expected = self._room.push(heard, source, learns=learns)
        energies = _Energies(float(heard @ heard), float(left @ left), expected)
        self._recent.append(energies)
        newest = list(self._recent)[-_NEWEST:]
        all_heard, all_left, all_expected = (
            sum(getattr(each, name) for each in newest) for name in ("heard", "left", "expected")
        )
        return left, all_left < max(_CERTAIN * all_expected, (1 - _EXPLAINED) * all_heard)

    def search(self, heard: Sound, at: int, played: PlayedSound) -> Sound | None:
        """Finds the newest sound in the answer. Returns whole frames of `heard` without the echo, nothing of
        it where it is at the known place, or None.

        `at`: place of the first sample of `heard` in the microphone's sound. Takes 5 ms, and 10 ms more where
        the answer is found.
        """
        newest = soxr.resample(heard, RATE, _SEARCH_RATE)[-_SEARCHED:]
        if len(newest) < _SEARCHED or not _lasts(newest):
            return None
        source = soxr.resample(played.sound, RATE, _SEARCH_RATE)[-_SEARCHED_IN:]
        place, correlation = _delay(newest, source)
        ratio = RATE // _SEARCH_RATE
        in_answer = played.at + len(played.sound) + ratio * (place - len(source))
        offset = in_answer - (at + len(heard) - ratio * _SEARCHED)
        moved = self._room is None or abs(offset + _EARLY - self._offset) > _SAME_PLACE
        again = self._found is not None and abs(offset - self._found) <= _SAME_PLACE
        self._found = offset
        elsewhere = _CORRELATED if self._room is None else _CORRELATED_ELSEWHERE
        if not moved and self._learnt < _YOUNG and correlation >= _CORRELATED_HERE:
            return heard[:0]
        if not moved or correlation < (_CORRELATED_AGAIN if again else elsewhere):
            return None
        known_ms = _SEARCHED_MS if self._room is not None else len(heard) // PER_MS
        return self._learn(heard[-known_ms * PER_MS :], at + len(heard), played, offset + _EARLY)

    def _learn(self, heard: Sound, until: int, played: PlayedSound, offset: int) -> Sound:
        """From all of `heard`, which ends at `until`."""
        heard = heard[len(heard) % FRAME :]
        source = played.between(offset + until - len(heard), offset + until)
        power = float(heard @ heard) / (float(source @ source) + 1.0)
        self._offset, self._room = offset, RoomFilter(power)
        self._learnt = 0
        self._recent.clear()
        starts = range(until - len(heard), until, FRAME)
        frames = zip(starts, heard.reshape(-1, FRAME), strict=True)
        return np.concatenate([self.take_out(frame, start, played)[0] for start, frame in frames])


def _lasts(sound: Sound) -> bool:
    """Whether there is enough in it to be told from another one: a tenth of a second."""
    energies = (sound[len(sound) % _WINDOW :].reshape(-1, _WINDOW) ** 2).sum(axis=1)
    return int((energies > _HARDLY_HEARD * energies.max()).sum()) >= _HEARD_WINDOWS


def _delay(heard: Sound, played: Sound) -> tuple[int, float]:
    """Place in `played` at which it is most like `heard`, and the correlation there, from 0 to 1.

    `heard` may begin before `played`, and end after it.
    """
    played = np.pad(played, len(heard))
    places = len(played) - len(heard) + 1
    size = 1 << (len(played) - 1).bit_length()
    of_heard, of_played = _whitened(heard, size), _whitened(played, size)
    both = np.fft.irfft(np.conj(of_heard) * of_played, size)[:places]
    energy = np.cumsum(np.append(0.0, np.fft.irfft(of_played, size)[: len(played)] ** 2))
    local = energy[len(heard) :] - energy[: -len(heard)]
    total = float((np.fft.irfft(of_heard, size) ** 2).sum())
    correlation = np.abs(both) / np.sqrt(local * total + 1e-9) * (local > _LEAST_ENERGY * local.max())
    best = int(np.argmax(correlation))
    return best - len(heard), float(correlation[best])


def _whitened(sound: Sound, size: int) -> NDArray[np.complex128]:
    """Spectrum with an even envelope: neither a vowel nor a pitch is like another one then."""
    spectrum = np.fft.rfft(sound, size)
    power = np.abs(spectrum) ** 2
    reach = max(1, _SMOOTH_HZ * size // _SEARCH_RATE)
    sums = np.cumsum(np.pad(power, (reach + 1, reach), mode="edge"))
    envelope = (sums[2 * reach :] - sums[: -2 * reach])[: len(power)] / (2 * reach)
    whitened: NDArray[np.complex128] = spectrum / np.sqrt(envelope + 1e-3 * power.mean() + 1e-9)
    return whitened
