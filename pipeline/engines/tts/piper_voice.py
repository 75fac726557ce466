"""A Piper voice as plain functions that block: text to phonemes, phonemes to frames, frames to samples."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final
from unicodedata import normalize

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from piper import PiperConfig, PiperVoice
from piper.config import PhonemeType

from pipeline.engines.model_files import DECODER, FRONTEND, SEAM, VoiceFiles
from pipeline.engines.tts.piper_device import CPU, check_is_used
from pipeline.engines.tts.piper_words import Phonemes, TextWord, pieces, speakable
from pipeline.engines.tts.voice_windows import Sentence, WindowPiece, bounded, without_long_pauses
from pipeline.engines.weights.prepared_folders import UnusableWeights
from schemas.languages import language_tag

_BEGIN, _END, _PAD = "^", "$", "_"
_PAUSES: Final = frozenset(".,:;!?")
_BREATHS: Final = frozenset(",;:")
_PAUSE_MS: Final = 110
"""Of a comma inside a sentence, at most. With the soft sounds around it that is heard as 200 to 300 ms; by
itself the voice pauses for up to 520, longer than between two sentences."""
_ALONE_CACHED: Final = 8_192


@dataclass(frozen=True, slots=True)
class PiperFrames:
    """A sentence that only needs decoding."""

    latent: NDArray[np.float32]
    mask: NDArray[np.float32]
    per_id: NDArray[np.float32]
    """How many frames each phoneme id takes."""

    @property
    def count(self) -> int:
        return int(self.latent.shape[2])


def config_of(files: VoiceFiles) -> PiperConfig:
    """The voice's own configuration: a small file. Raises UnusableWeights."""
    config = PiperConfig.from_dict(json.loads(files.config.read_text(encoding="utf-8")))
    if config.phoneme_type not in (PhonemeType.ESPEAK, PhonemeType.TEXT):
        raise UnusableWeights(f"The voice {files.name} needs phonemes of another kind than espeak's.")
    return config


def language_of(config: PiperConfig) -> str:
    """The language of the voice's phonemes, as the model's configuration names it."""
    return language_tag(config.espeak_voice)


def reads_phonemes(config: PiperConfig) -> bool:
    """Whether the voice takes a pronunciation in IPA."""
    return bool(config.phoneme_type == PhonemeType.ESPEAK)


class Voice:
    """Loaded graphs and the phonemizer. Safe to use from several threads."""

    def __init__(self, files: VoiceFiles, providers: Sequence[str] = (CPU,)) -> None:
        """`providers`: of onnxruntime, the wanted one first. Raises NoDevice where it cannot be had."""
        self._config = config_of(files)
        seam = json.loads(Path(files.folder, SEAM).read_text(encoding="utf-8"))
        self.hop: int = seam["hop"]
        """Samples of one frame."""
        self._margin: int = seam["margin"]
        self._frontend = _session(files.folder / FRONTEND, providers)
        self._decoder = _session(files.folder / DECODER, providers)
        self._rhythm = [(entry.name, entry.shape[1]) for entry in self._frontend.get_inputs()[3:]]
        self._seam = [entry.name for entry in self._decoder.get_inputs()]
        self._phonemizer = PiperVoice(session=self._frontend, config=self._config)
        self._alone = lru_cache(_ALONE_CACHED)(partial(_pronounced_alone, self._phonemizer))
        self._ids: Mapping[str, Sequence[int]] = self._config.phoneme_id_map

    @property
    def language(self) -> str:
        return language_of(self._config)

    @property
    def sample_rate(self) -> int:
        return int(self._config.sample_rate)

    @property
    def _hop_ms(self) -> float:
        return 1_000 * self.hop / self.sample_rate

    def pronounce(self, text: str, phonemes: Phonemes = ()) -> list[WindowPiece]:
        """The whole text, in pieces; empty where there is nothing to pronounce."""
        phonemes = phonemes if reads_phonemes(self._config) else ()
        whole = pieces(text, self.language, phonemes)
        return [piece for words in whole if (piece := self._piece(words)).sentences]

    def frames(self, sentence: Sentence, speed: float) -> PiperFrames:
        """Say how long every phoneme is and sample the latent: 10 to 50 ms for a sentence.

        What is random in the rhythm follows from the phonemes: it is the same at every speed.
        """
        length_scale = self._config.length_scale / speed
        scales = [self._config.noise_scale, length_scale, self._config.noise_w_scale]
        draw = np.random.default_rng(sentence.ids).standard_normal
        rhythm = {name: draw((1, width, len(sentence.ids)), np.float32) for name, width in self._rhythm}
        latent, mask, per_id = self._frontend.run(
            None,
            {
                **rhythm,
                "input": np.array([sentence.ids], np.int64),
                "input_lengths": np.array([len(sentence.ids)], np.int64),
                "scales": np.array(scales, np.float32),
            },
        )
        breaths = dict.fromkeys(_BREATHS, _PAUSE_MS)
        kept, left = without_long_pauses(
            sentence, per_id.ravel(), speed=speed, hop_ms=self._hop_ms, at_marks=breaths
        )
        return PiperFrames(latent[:, :, kept], mask[:, :, kept], left)

    def samples(self, frames: PiperFrames, start: int, end: int) -> NDArray[np.float32]:
        """The sound of frames [start, end), exactly as in the decoded whole; about 1 ms a frame."""
        first, last = max(0, start - self._margin), min(frames.count, end + self._margin)
        window = [frames.latent[:, :, first:last], frames.mask[:, :, first:last]]
        sound: NDArray[np.float32] = self._decoder.run(None, dict(zip(self._seam, window, strict=True)))[0]
        offset = (start - first) * self.hop
        return sound.ravel()[offset : offset + (end - start) * self.hop]

    def _piece(self, words: list[TextWord]) -> WindowPiece:
        sentences = [
            self._sentence(part)
            for phonemes in self._phonemizer.phonemize(speakable(words))
            for part in bounded(self._known(phonemes))
        ]
        alone = tuple(self._alone(word.text) if word.ipa is None else self._given(word.ipa) for word in words)
        return WindowPiece(tuple(words), alone, tuple(sentence for sentence in sentences if sentence.symbols))

    def _known(self, phonemes: Sequence[str]) -> list[str]:
        """Without blanks that follow blanks, as between two pronunciations that are given."""
        known = [symbol for symbol in phonemes if symbol in self._ids]
        return [symbol for at, symbol in enumerate(known) if symbol != " " or known[at - 1 : at] != [" "]]

    def _given(self, ipa: str) -> str:
        return "".join(symbol for symbol in normalize("NFD", ipa) if symbol in self._ids)

    def _sentence(self, symbols: list[str]) -> Sentence:
        ids, starts = [*self._ids[_BEGIN], *self._ids[_PAD]], []
        for symbol in symbols:
            starts.append(len(ids))
            ids += [*self._ids[symbol], *self._ids[_PAD]]
        starts.append(len(ids))
        return Sentence(tuple(symbols), (*ids, *self._ids[_END]), tuple(starts))


def _pronounced_alone(phonemizer: PiperVoice, word: str) -> str:
    """A function of no voice: a voice that its own cache held would stay in memory after its last use."""
    sentences = phonemizer.phonemize(speakable([TextWord(0, len(word), word)]))
    symbols = (symbol for sentence in sentences for symbol in sentence if symbol not in _PAUSES)
    return "".join(symbols).strip()


def _session(path: Path, providers: Sequence[str]) -> Any:
    options = onnxruntime.SessionOptions()
    # One thread per window, several windows side by side: twice the threads cost twice the CPU here.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Every window has a size of its own: an arena keeps the largest for ever and makes nothing faster.
    options.enable_cpu_mem_arena = False
    session = onnxruntime.InferenceSession(str(path), options, providers=list(providers))
    check_is_used(session.get_providers(), providers)
    return session
