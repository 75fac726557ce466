"""Windowed synthesis: how a sentence is cut into windows, and when its words are heard.

A sentence is first turned into frames, and it is known how many each phoneme takes; then windows of frames
become sound, one after the other, while the ones before them play.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, repeat
from typing import Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.ports import TimedWord, WordTimes
from pipeline.engines.tts.pauses import INNER_MS
from pipeline.engines.tts.piper_words import TextWord, locate

WINDOWS: Final = (20, 40, 80, 120)
"""Frames of the first, second, ... window of a text, 11.6 ms each at 22,050 Hz: the first sound comes soon,
and each window is made while the ones before it play."""
_SMALLEST: Final = 12
"""A shorter rest is joined to the window before it: its margins would cost more than itself."""
_GAIN: Final = 1.2
"""Fixed, because a stream cannot know its peak. Raw peaks of "joe" are 0.25 to 0.81."""
_QUIET: Final = 0.01
_LEAD_MS: Final = 10
_MOST_TRIMMED_MS: Final = 80
"""Voices begin with about 50 ms of silence; all but `_LEAD_MS` is cut, so a listener waits less."""
_MOST_PHONEMES: Final = 600
"""Of one sentence, as a network's memory grows with their square."""

MARKS: Final = frozenset('.,:;!?\u2026\u2014\u2013-"«»()')
"""Symbols of a voice that ask for a pause."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Phonemes of a sentence, as the network takes them."""

    symbols: tuple[str, ...]
    ids: tuple[int, ...]
    starts: tuple[int, ...]
    """Index in `ids` of each symbol's first id, and of the end mark."""


@dataclass(frozen=True, slots=True)
class WindowPiece:
    """A stretch of text with its pronunciation."""

    words: tuple[TextWord, ...]
    alone: tuple[str, ...]
    """The phonemes of each word on its own; empty: it makes no sound."""
    sentences: tuple[Sentence, ...]


class WindowFrames(Protocol):
    """A sentence that only needs decoding."""

    @property
    def count(self) -> int: ...
    @property
    def per_id(self) -> NDArray[np.float32]:
        """How many frames each phoneme id takes."""
        ...


def without_long_pauses(
    sentence: Sentence,
    per_id: NDArray[np.float32],
    *,
    speed: float,
    hop_ms: float,
    at_marks: Mapping[str, int],
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Returns which frames stay, and how many each phoneme id has then: word times follow from these.

    Between words that no mark separates, INNER_MS stay of a longer pause; at a mark, the milliseconds that
    `at_marks` gives for normal speed, or all of it. Frames are left out in the middle of a pause.
    """
    most_ms = {" ": INNER_MS / max(speed, 1), **{mark: ms / speed for mark, ms in at_marks.items()}}
    reached = np.concatenate([[0], np.cumsum(per_id)]).astype(int)
    kept = np.ones(reached[-1], bool)
    symbols = sentence.symbols
    for number, symbol in enumerate(symbols):
        after = number + 1
        while after < len(symbols) and symbols[after] == " ":
            after += 1
        asked_for = symbol == " " and number and (symbols[number - 1] in MARKS or symbols[number - 1] == " ")
        if symbol not in most_ms or asked_for or after == len(symbols):
            continue  # no pause, one that a mark asks for, or the sentence's end
        most = round(most_ms[symbol] / hop_ms)
        begin, end = reached[sentence.starts[number]], reached[sentence.starts[after]]
        kept[begin + most // 2 : max(begin + most // 2, end - (most - most // 2))] = False
    left = [kept[first:last].sum() for first, last in pairwise(reached)]
    return kept, np.array(left, np.float32)


SomeFrames = TypeVar("SomeFrames", bound=WindowFrames)


def windows(made: Sequence[SomeFrames]) -> Iterator[tuple[SomeFrames, int, int]]:
    """All frames of all sentences, in order, in windows that grow."""
    sizes = chain(WINDOWS, repeat(WINDOWS[-1]))
    for frames in made:
        start = 0
        while start < frames.count:
            end = start + next(sizes)
            if frames.count - end < _SMALLEST:
                end = frames.count
            yield frames, start, end
            start = end


def bounded(symbols: list[str]) -> list[list[str]]:
    """The phonemes in parts that a network can take, cut between words where there are any."""
    parts = []
    while len(symbols) > _MOST_PHONEMES:
        spaces = [at for at in range(_MOST_PHONEMES) if symbols[at] == " "]
        cut = spaces[-1] + 1 if spaces else _MOST_PHONEMES
        parts.append(symbols[:cut])
        symbols = symbols[cut:]
    return [*parts, symbols]


def word_times(
    pieces: Sequence[WindowPiece], made: Sequence[WindowFrames], *, ms_per_frame: float, trimmed_ms: float
) -> WordTimes:
    """When each word is heard in the audio that begins after `trimmed_ms`. `made`: one for each sentence."""
    total_ms = ms_per_frame * sum(frames.count for frames in made)
    words: list[TimedWord] = []
    rest, first_frame = iter(made), 0
    for piece in pieces:
        symbols: list[str] = []
        at_frame: list[float] = []
        for sentence in piece.sentences:
            frames = next(rest)
            reached = np.concatenate([[0.0], np.cumsum(frames.per_id)])
            symbols += [*sentence.symbols, " "]
            at_frame += [first_frame + float(reached[start]) for start in sentence.starts]
            first_frame += frames.count
        at_frame.append(first_frame)
        for word, place in zip(piece.words, locate(piece.alone, symbols), strict=True):
            if place is not None:
                begin, end = (
                    min(max(ms * ms_per_frame, trimmed_ms), total_ms) - trimmed_ms
                    for ms in np.interp(place, range(len(at_frame)), at_frame)
                )
                words.append(TimedWord(word.start, word.end, round(begin), round(end)))
    return WordTimes(tuple(words))


async def stream_windows(
    pieces: Sequence[WindowPiece],
    made: Sequence[SomeFrames],
    decode: Callable[[SomeFrames, int, int], Awaitable[NDArray[np.float32]]],
    *,
    rate: int,
    hop: int,
) -> AsyncGenerator[WordTimes | bytes, None]:
    """When the words are heard, then the sound, window after window; the silence before it is cut.

    A window is decoded when the one before it was taken.
    """
    for number, (frames, start, end) in enumerate(windows(made)):
        sound = await decode(frames, start, end)
        if number == 0:
            trimmed = silence(sound, rate)
            yield word_times(pieces, made, ms_per_frame=1_000 * hop / rate, trimmed_ms=1_000 * trimmed / rate)
            sound = sound[trimmed:]
        yield pcm16(sound)


def silence(sound: NDArray[np.float32], rate: int) -> int:
    """How many samples to leave out at the start of the first window."""
    loud = np.flatnonzero(np.abs(sound) > _QUIET)
    first = int(loud[0]) if len(loud) else len(sound)
    return max(0, min(first - rate * _LEAD_MS // 1_000, rate * _MOST_TRIMMED_MS // 1_000, len(sound) - 1))


def pcm16(sound: NDArray[np.float32]) -> bytes:
    """As every voice sends it: made louder by a fixed gain, 16 bits."""
    return bytes((sound * (_GAIN * 32_767)).clip(-32_768, 32_767).astype("<i2").tobytes())
