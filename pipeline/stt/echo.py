"""Echo of an answer in a microphone's sound, found by correlation with the answer's own sound."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]
RATE: Final = 8_000
"""Samples per second of both sounds. Half of a microphone's: what speech has above is weak in an echo."""
PER_MS: Final = RATE // 1_000
_WINDOW: Final = 256
_HOP: Final = 128
_TAPS: Final = 8
"""Hops that a sound goes on in the room: 128 ms have all but a hundredth of a living room's energy."""
_NEWEST: Final = 6
"""Hops that are judged, 96 ms: more of them notice a user later, fewer are often silent ones."""
_FITTED: Final = 24
"""Hops of answer from which its way through the room is known: three for each tap."""
_EXPLAINED: Final = 0.5
"""Share of the microphone's energy that comes from the answer, from which on it is an echo. A user as loud as
the echo leaves 0.1 to 0.35, an echo alone 0.6 and more."""
_SOFT: Final = 0.2
"""Of the usual energy: what is softer in an echo is the end of its reverberation, and no user."""
_CORRELATED: Final = 0.42
"""Correlation from which on a delay is found. An echo mostly has 0.43 or more, a user 0.2, humming 0.38."""
_CORRELATED_HERE: Final = 0.2
"""The same at a delay that is known."""
_CORRELATED_AGAIN: Final = 0.3
"""The same at a delay that was the best one 32 ms ago too; those of a user change."""
_CORRELATED_ELSEWHERE: Final = 0.45
"""The same for another delay than the one that explained the sound before."""
_SAME_PLACE: Final = 2 * PER_MS
_SEARCHED: Final = 250 * PER_MS
"""The newest sound whose delay is searched for; with more of it the user is noticed later."""
_SEARCHED_IN: Final = 32_768 - 2 * _SEARCHED
"""So much of the answer, its newest part: 3.6 s."""
_HARDLY_HEARD: Final = 0.01
"""Of the loudest 16 ms of a sound."""
_SMOOTH_HZ: Final = 120
_SHADE: Final = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
_LEAST_ENERGY: Final = 0.02
"""Of the loudest stretch: quieter ones of the answer correlate with anything."""


class EchoDetector:
    """Tells the echo of one answer from other sound; remembers where in the answer the microphone was.

    The delay is found by generalised cross-correlation of whitened spectra (Knapp and Carter, 1976), the way
    through the room by least squares over `_TAPS` hops for each frequency.
    """

    def __init__(self) -> None:
        self._offset: int | None = None
        """Place in the answer of the microphone's sample 0."""
        self._since = 0
        """Place in the microphone's sound from which on that is so: a player that ran dry moves it."""
        self._found: int | None = None
        """Where the last search had its best place."""

    def is_echo(self, heard: Sound, at: int, played: Sound, from_at: int) -> bool:
        """Whether the newest 96 ms of `heard` are mostly the answer, through loudspeaker and room.

        `at` is the place of the first sample of `heard` in the microphone's sound, `from_at` that of `played`
        in the answer's; both at RATE. Takes 1 ms where the delay is known, and 5 ms more where it is not.
        """
        share = self._explained(heard, at, played, from_at)
        if share is not None and share >= _EXPLAINED:
            return True
        newest = heard[-_SEARCHED:]
        if len(newest) < _SEARCHED or not _lasts(newest):
            return False
        begins, skipped = at + len(heard) - _SEARCHED, max(0, len(played) - _SEARCHED_IN)
        place, correlation = _delay(newest, played[skipped:])
        offset = from_at + skipped + place - begins
        moved = self._offset is None or abs(offset - self._offset) > _SAME_PLACE
        again = self._found is not None and abs(offset - self._found) <= _SAME_PLACE
        self._found = offset
        enough = _CORRELATED_AGAIN if again else _CORRELATED if share is None else _CORRELATED_ELSEWHERE
        if moved and correlation >= enough:
            self._offset, self._since = offset, begins
            return True
        return not moved and share is None and correlation >= _CORRELATED_HERE

    def _explained(self, heard: Sound, at: int, played: Sound, from_at: int) -> float | None:
        if self._offset is None:
            return None
        old = max(0, self._since - at)
        return _explained(heard[old:], played, self._offset + at + old - from_at)


def _lasts(sound: Sound) -> bool:
    """Whether there is enough in it to be told from another one: a tenth of a second."""
    energies = (sound[len(sound) % _HOP :].reshape(-1, _HOP) ** 2).sum(axis=1)
    return int((energies > _HARDLY_HEARD * energies.max()).sum()) >= _NEWEST


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
    reach = max(1, _SMOOTH_HZ * size // RATE)
    sums = np.cumsum(np.pad(power, (reach + 1, reach), mode="edge"))
    envelope = (sums[2 * reach :] - sums[: -2 * reach])[: len(power)] / (2 * reach)
    whitened: NDArray[np.complex128] = spectrum / np.sqrt(envelope + 1e-3 * power.mean() + 1e-9)
    return whitened


def _explained(heard: Sound, played: Sound, place: int) -> float | None:
    """Share of the newest energy of `heard` that the answer explains, filtered as fits the sound before.

    `place`: of `heard` in `played`. None: what was before is not known, or no echo that lies there.
    """
    before = _TAPS * _HOP
    start, end = place - before, place + len(heard)
    known = played[max(0, start) : max(0, end)]
    aligned = np.pad(known, (max(0, -start), 0))[: before + len(heard)]
    spectra = _spectra(heard)
    sources = _spectra(np.pad(aligned, (0, before + len(heard) - len(aligned))))
    rows = len(spectra)
    taps = np.stack([sources[_TAPS - tap : _TAPS - tap + rows] for tap in range(_TAPS)], axis=-1)
    power = (np.abs(taps[..., 0]) ** 2).sum(axis=1)
    if (power[:-_NEWEST] > _LEAST_ENERGY * power.max()).sum() < _FITTED:
        return None
    fitted, target = taps[:-_NEWEST].transpose(1, 0, 2), spectra[:-_NEWEST].T[..., None]
    turned = fitted.conj().transpose(0, 2, 1)
    squares = turned @ fitted
    weight = 1e-2 * np.trace(squares, axis1=1, axis2=2).real / _TAPS + 1.0
    room = np.linalg.solve(squares + weight[:, None, None] * np.eye(_TAPS), turned @ target)
    left = spectra - (taps.transpose(1, 0, 2) @ room)[..., 0].T
    energies, unexplained = ((np.abs(each) ** 2).sum(axis=1) for each in (spectra, left))
    usual = float(energies[:-_NEWEST].mean()) + 1.0
    if unexplained[:-_NEWEST].mean() > (1 - _EXPLAINED) * usual:
        return None
    return 1 - float(unexplained[-_NEWEST:].mean() / max(energies[-_NEWEST:].mean(), _SOFT * usual))


def _spectra(sound: Sound) -> NDArray[np.complex64]:
    """A row for each hop, of the sound after pre-emphasis."""
    emphasised = np.append(sound[:1], sound[1:] - np.float32(0.9) * sound[:-1])
    windows = np.lib.stride_tricks.sliding_window_view(emphasised, _WINDOW)[::_HOP]
    spectra: NDArray[np.complex64] = np.fft.rfft(windows * _SHADE).astype(np.complex64)
    return spectra
