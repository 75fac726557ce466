"""One Whisper model on CTranslate2: a window in, what was said out. All of it blocks.

faster-whisper shows its models 30 s, however short the speech is. CTranslate2 takes shorter windows, and the
encoder's work falls with them; what keeps short windows from going astray is in `_doubtful` and windows.py.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.engines.ports import WrittenWord
from pipeline.engines.stt.pcm_samples import RATE
from pipeline.engines.stt.whisper_windows import (
    FULL_S,
    NO_SPEECH,
    Sound,
    is_invented,
    most_tokens,
    onset_ms,
    quiet_near,
    repeats_itself,
    stammers,
    window_s,
)
from pipeline.engines.stt.whisper_words import word_times
from pipeline.engines.weights.prepared_folders import UnusableWeights

_FRAMES_PER_S: Final = 100
_LISTEN_S: Final = 8
_PROMPT_TOKENS: Final = 100
_TICK_S: Final = 0.02
"""Time that one step of a timestamp token stands for."""
_LEFT_S: Final = 1.0
"""Sound that the model left over is looked at once more if there is at least so much of it."""
_UNSPACED: Final = ("zh", "ja", "th", "lo", "my", "yue")


@dataclass(frozen=True, slots=True)
class Hints:
    """Context that the model gets beforehand."""

    language: str | None = None
    prompt: str = ""
    words: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """Transcript of one window."""

    text: str
    language: str
    words: tuple[WrittenWord, ...]
    """Times count from the beginning of the window's sound."""
    heard: int
    """Samples that the text stands for; nearly always all."""


@dataclass(frozen=True, slots=True)
class _Take:
    """One try at a window."""

    tokens: list[int]
    text: str
    language: str
    encoded: Any
    no_speech: float
    likelihood: float
    capped: bool

    @property
    def doubtful(self) -> bool:
        """A longer window may do better."""
        lost = not self.text.strip() and self.no_speech < NO_SPEECH
        return self.capped or lost or repeats_itself(self.text) or stammers(self.text)


class WhisperModel:
    """Several threads may use one: CTranslate2 works on as many windows at once as it has workers."""

    def __init__(self, model: Any, *, shortest_s: int, doubt: float, beam: int) -> None:
        """`shortest_s` and `doubt`: see WhisperFiles."""
        self._model = model
        self._shortest_s = shortest_s
        self._doubt = doubt
        self._beam = beam
        self._tokenizer = lru_cache(maxsize=None)(self._new_tokenizer)

    def knows(self, language: str | None) -> bool:
        return language in self._model.supported_languages

    def write(self, sound: Sound, hints: Hints) -> Window:
        """The window's text; tried a second time with 30 s if the first try looks wrong."""
        length_s = len(sound) / RATE
        size_s = window_s(length_s, self._shortest_s)
        take = self._take(sound, size_s, most_tokens(length_s), hints)
        if take.doubtful and size_s < FULL_S:
            take = self._take(sound, FULL_S, most_tokens(2 * length_s), hints)
        invented = is_invented(take.text, take.no_speech, take.likelihood, doubt=self._doubt)
        if invented or repeats_itself(take.text):
            return Window("", take.language, (), len(sound))
        text = take.text.rstrip()
        if not text.startswith(" ") and take.language not in _UNSPACED:
            text = f" {text}"
        words = self._words(take, text, sound) if hints.words else ()
        return Window(text, take.language, words, self._heard(take, sound))

    def _take(self, sound: Sound, size_s: int, cap: int, hints: Hints) -> _Take:
        encoded = _encoded(self._model, sound, size_s)
        language = hints.language or _language(self._model, encoded)
        tokenizer = self._tokenizer(language)
        prompt = self._prompt(tokenizer, hints.prompt)
        result = self._model.model.generate(
            encoded,
            [prompt],
            beam_size=self._beam,
            max_length=len(prompt) + cap,
            return_scores=True,
            return_no_speech_prob=True,
            # Timestamps stay on: without them short windows say the same thing over and over.
            max_initial_timestamp_index=50,
        )[0]
        tokens = result.sequences_ids[0]
        return _Take(
            tokens=tokens,
            text=tokenizer.decode(tokens),
            language=language,
            encoded=encoded,
            no_speech=result.no_speech_prob,
            likelihood=result.scores[0] * len(tokens) / (len(tokens) + 1),
            capped=len(tokens) >= cap,
        )

    def _new_tokenizer(self, language: str) -> Any:
        from faster_whisper.tokenizer import Tokenizer

        multilingual = self._model.model.is_multilingual
        return Tokenizer(self._model.hf_tokenizer, multilingual, task="transcribe", language=language)

    @staticmethod
    def _prompt(tokenizer: Any, before: str) -> list[int]:
        sequence: list[int] = tokenizer.sot_sequence
        if not before.strip():
            return sequence
        return [tokenizer.sot_prev, *tokenizer.encode(f" {before.strip()}")[-_PROMPT_TOKENS:], *sequence]

    def _heard(self, take: _Take, sound: Sound) -> int:
        """Two timestamps at the end say: here I stopped, there is more."""
        begin = self._tokenizer(take.language).timestamp_begin
        if len(take.tokens) < 2 or min(take.tokens[-2:]) < begin:
            return len(sound)
        reached = int((take.tokens[-1] - begin) * _TICK_S * RATE)
        return quiet_near(sound, reached) if 0 < reached < len(sound) - _LEFT_S * RATE else len(sound)

    def _words(self, take: _Take, text: str, sound: Sound) -> tuple[WrittenWord, ...]:
        tokenizer = self._tokenizer(take.language)
        tokens = [token for token in take.tokens if token < tokenizer.eot]
        frames = max(2, len(sound) * _FRAMES_PER_S // RATE)
        (found,) = self._model.find_alignment(tokenizer, [tokens], take.encoded, frames)
        return word_times(text, found, len(sound) * 1_000 // RATE, onset_ms=onset_ms(sound))


def spoken_language(model: Any, sound: Sound) -> str:
    """Most likely language of the beginning; a short window is enough."""
    beginning = sound[: _LISTEN_S * RATE]
    return _language(model, _encoded(model, beginning, window_s(len(beginning) / RATE, _LISTEN_S)))


def _encoded(model: Any, sound: Sound, size_s: int) -> Any:
    """Encodes a window that begins with the sound and ends with silence."""
    from faster_whisper.transcribe import get_ctranslate2_storage

    frames = model.feature_extractor(sound)[:, : size_s * _FRAMES_PER_S]
    window = np.pad(frames, ((0, 0), (0, size_s * _FRAMES_PER_S - frames.shape[1])))
    return model.model.encode(get_ctranslate2_storage(window[None]), to_cpu=False)


def _language(model: Any, encoded: Any) -> str:
    if not model.model.is_multilingual:
        return "en"
    token, _ = model.model.detect_language(encoded)[0][0]
    return str(token)[2:-2]


def load(place: Path | str, *, device: str, compute_type: str, threads: int, workers: int) -> Any:
    """faster-whisper's model from a folder, in half a second, or by a name of the hub."""
    from faster_whisper import WhisperModel as FasterWhisper

    try:
        return FasterWhisper(
            str(place),
            device=device,
            compute_type=compute_type,
            cpu_threads=threads,
            num_workers=workers,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise UnusableWeights(f"CTranslate2 cannot load {place}: {error}") from error
