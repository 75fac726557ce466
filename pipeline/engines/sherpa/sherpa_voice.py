"""Voices on sherpa-onnx: Kokoro by lexicons instead of a phonemizer, Pocket TTS by a speaker's recording.

Neither says when words are heard. Both are made at their natural speed and stretched in time, which is exact.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import soxr
from anyascii import anyascii
from num2words import num2words
from numpy.typing import NDArray

from pipeline.audio.sound_files import RATE, SoundFile
from pipeline.engines.sherpa.sherpa_files import KOKORO, POCKET, sherpa_files
from pipeline.engines.weights.prepared_folders import UnusableWeights
from schemas.errors import NotSound
from schemas.settings import TextToSpeechSettings

Sound = NDArray[np.float32]
_SETTING: Final = "text_to_speech.model_path"
_SPEAKERS: Final = "speaker_names"
_LEXICONS: Final = {"en": "lexicon-us-en.txt", "zh": "lexicon-zh.txt"}
_LANGUAGES: Final = {"a": "en", "b": "en", "z": "zh"}
"""First letters of Kokoro's voices: American, British and Chinese. The others need a phonemizer."""
_WORD: Final = re.compile(r"[^\W_\u3040-\u9fff]+(?:'[^\W_\u3040-\u9fff]+)*")
"""Chinese characters are words of the lexicon by themselves."""
_UNREAD: Final = re.compile(r"[^\w\s';:,.!?。！？；：，、]|(?<!\w)'|'(?!\w)|_")
"""A word beside one of these would be left out."""
_LONGEST_S: Final = 30
"""Of a speaker's recording, as much as Pocket TTS was made for."""


class SherpaVoice(Protocol):
    """A loaded network. Its methods block, and one text at a time is spoken."""

    @property
    def sample_rate(self) -> int: ...
    @property
    def languages(self) -> Mapping[str, tuple[str, ...]]: ...
    def sound(self, text: str, voice: str, wanted: Callable[[], bool]) -> Sound:
        """The text as `voice` speaks it; cut off where `wanted` says no, which is asked now and then."""
        ...


def load(settings: TextToSpeechSettings) -> SherpaVoice:
    """Load the network that `settings.engine` names: `kokoro` or `pocket`. Raises UnusableWeights."""
    return KokoroVoice(settings) if settings.engine == "kokoro" else PocketVoice(settings)


class KokoroVoice:
    """Kokoro 82M (hexgrad, Apache-2.0). Satisfies SherpaVoice."""

    def __init__(self, settings: TextToSpeechSettings) -> None:
        files = sherpa_files(settings.model_path, KOKORO, _SETTING)
        folder = Path(files["model"]).parent
        lexicons = {tag: folder / name for tag, name in _LEXICONS.items() if (folder / name).is_file()}
        if not lexicons:
            known = " or ".join(_LEXICONS.values())
            raise UnusableWeights(f"{folder}, which {_SETTING} names, has no {known}.")
        names = _speaker_names(files)
        self._words = {line.split(" ", 1)[0] for line in _lines(lexicons.get("en"))}
        lexicon = ",".join(map(str, lexicons.values()))
        self._model = _loaded(settings, "kokoro", {**files, "lexicon": lexicon})
        self.sample_rate = int(self._model.sample_rate)
        self._wishes = {name: _generation(sid=sid) for sid, name in enumerate(names)}
        spoken = {name: _LANGUAGES.get(name[0]) for name in names}
        self.languages = {name: (tag,) for name, tag in spoken.items() if tag in lexicons}

    def sound(self, text: str, voice: str, wanted: Callable[[], bool]) -> Sound:
        """See `SherpaVoice.sound`. Words that the lexicon lacks are spelt: it would leave them out."""
        known = _UNREAD.sub(" ", _WORD.sub(self._known, text.replace("’", "'")))
        return _generated(self._model, " ".join(known.split()), self._wishes[voice], wanted)

    def _known(self, found: re.Match[str]) -> str:
        word = found.group()
        for spelling in (word, anyascii(word)):
            if spelling.lower() in self._words:
                return spelling
        return " ".join(_named(sign) for sign in anyascii(word) if sign.isalnum())


def _named(sign: str) -> str:
    return str(num2words(sign)) if sign.isdigit() else sign


class PocketVoice:
    """Pocket TTS (Kyutai, CC-BY-4.0), which speaks English. Satisfies SherpaVoice."""

    def __init__(self, settings: TextToSpeechSettings) -> None:
        files = sherpa_files(settings.model_path, POCKET, _SETTING)
        own = [] if settings.speaker_wav is None else [settings.speaker_wav.expanduser()]
        recordings = [*own, *sorted(Path(files["lm_main"]).parent.glob("*.wav"))]
        if not recordings:
            raise UnusableWeights("Pocket TTS needs somebody's voice: text_to_speech.speaker_wav.")
        self._model = _loaded(settings, "pocket", files)
        self.sample_rate = int(self._model.sample_rate)
        self._wishes = {one.stem: self._wish(one) for one in reversed(recordings)}
        self.languages = {one.stem: ("en",) for one in recordings}

    def sound(self, text: str, voice: str, wanted: Callable[[], bool]) -> Sound:
        """See `SherpaVoice.sound`."""
        return _generated(self._model, text, self._wishes[voice], wanted)

    def _wish(self, recording: Path) -> Any:
        sound = soxr.resample(_recorded(recording), RATE, self.sample_rate)
        return _generation(reference_audio=sound, reference_sample_rate=self.sample_rate)


def _loaded(settings: TextToSpeechSettings, family: str, files: Mapping[str, str]) -> Any:
    import sherpa_onnx as sherpa

    kinds = {"kokoro": sherpa.OfflineTtsKokoroModelConfig, "pocket": sherpa.OfflineTtsPocketModelConfig}
    model = sherpa.OfflineTtsModelConfig(num_threads=settings.threads, **{family: kinds[family](**files)})
    named = f"{settings.model_path}, which {_SETTING} names,"
    try:
        if (config := sherpa.OfflineTtsConfig(model=model)).validate():
            return sherpa.OfflineTts(config)
    except Exception as error:  # onnxruntime raises what it likes
        raise UnusableWeights(f"{named} cannot be loaded: {error}") from error
    raise UnusableWeights(f"{named} is no model of {family}.")


def _generation(**fields: Any) -> Any:
    from sherpa_onnx import GenerationConfig

    config = GenerationConfig()
    for name, value in {"silence_scale": 1.0, **fields}.items():
        setattr(config, name, value)
    return config


def _generated(model: Any, text: str, config: Any, wanted: Callable[[], bool]) -> Sound:
    parts: list[Sound] = []

    def take(samples: Sound, _progress: float) -> int:
        parts.append(np.array(samples, np.float32))  # its memory is gone when this returns
        return int(wanted())

    model.generate(text, config, take)
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def _speaker_names(files: Mapping[str, str]) -> Sequence[str]:
    """Names of the voices in the order of their numbers, as the model's own metadata give them.

    Raises UnusableWeights, too, where the file of the voices is not as long as the model says.
    """
    import onnx

    try:
        network = onnx.load(files["model"], load_external_data=False)
    except Exception as error:  # protobuf raises what it likes
        raise UnusableWeights(f"{files['model']} is no network of Kokoro: {error}") from error
    told: dict[str, str] = {one.key: one.value for one in network.metadata_props}
    names = told.get(_SPEAKERS, "").split(",")
    size = 4 * len(names) * math.prod(map(int, told.get("style_dim", "0").split(",")))
    if not size or Path(files["voices"]).stat().st_size != size:
        raise UnusableWeights(f"{files['model']} and {files['voices']} are not of the same Kokoro model.")
    return names


def _lines(file: Path | None) -> list[str]:
    return [] if file is None else file.read_text(encoding="utf-8").splitlines()


def _recorded(file: Path) -> Sound:
    """The first seconds of a recording, at 16 kHz."""
    wanted, pcm = 2 * RATE * _LONGEST_S, bytearray()
    try:
        with file.open("rb") as opened, SoundFile(opened) as recording:
            for piece in recording.pieces():
                pcm += piece
                if len(pcm) >= wanted:
                    break
    except (OSError, NotSound) as error:
        raise UnusableWeights(f"The recording {file} of a voice cannot be read: {error}") from error
    if len(pcm) < 2 * RATE:
        raise UnusableWeights(f"{file} is shorter than a second; Pocket TTS wants several.")
    return np.frombuffer(bytes(pcm[:wanted]), "<i2").astype(np.float32) / np.float32(32_768)
