"""WhisperX's parts as this project needs them. Can only be imported in WhisperX's own environment."""

import contextlib
import io
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import ctranslate2
import nltk
import numpy as np
import torch
import torchaudio
import whisperx.asr
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.vad import VadOptions, get_speech_timestamps
from numpy.typing import NDArray
from whisperx.alignment import (
    DEFAULT_ALIGN_MODELS_HF,
    DEFAULT_ALIGN_MODELS_TORCH,
    align,
    load_align_model,
)
from whisperx.audio import log_mel_spectrogram
from whisperx.diarize import DiarizationPipeline, Segment, assign_word_speakers
from whisperx.vads import Vad

from pipeline.engines.ports import WrittenWord
from pipeline.engines.stt.pcm_samples import RATE
from pipeline.engines.stt.whisper_windows import most_tokens, repeats_itself
from pipeline.engines.stt.whisperx.whisperx_pieces import WINDOW
from pipeline.engines.stt.whisperx.whisperx_punkt import punkt_folder
from pipeline.engines.stt.whisperx.whisperx_words import AlignedWord, placed
from schemas.settings.listening_settings import QualitySpeechToTextSettings

# It warns of each text that it cannot place, with the text: nobody's words belong into a log.
logging.getLogger(align.__module__).setLevel(logging.ERROR)


class Aligner:
    """Says when each word of a text was spoken."""

    def __init__(self, language: str, device: str, name: str) -> None:
        """Raises ValueError or OSError where there is no such model."""
        self._device = device
        self._model, self._about = load_align_model(language, device, model_name=name, model_cache_only=True)

    def timed(self, sound: NDArray[np.float32], text: str) -> list[AlignedWord]:
        """The words in their order; those that it cannot place are left out."""
        if not text:
            return []
        segment = {"text": text, "start": 0.0, "end": len(sound) / RATE}
        found = align([segment], self._model, self._about, sound, self._device)
        return [
            AlignedWord(word["word"], word["start"], word["end"])
            for word in found["word_segments"]
            if "start" in word and "end" in word
        ]


class Aligners:
    """One for each language, loaded when it is first needed."""

    def __init__(self, settings: QualitySpeechToTextSettings, cache: Path) -> None:
        self._settings = settings
        self._known: dict[str, Aligner | None] = {}
        folder = str(punkt_folder(cache))
        if folder not in nltk.data.path:
            nltk.data.path.append(folder)

    def of(self, language: str) -> Aligner | None:
        """None: word times must come from elsewhere. The log says why, once."""
        if not self._settings.align:
            return None
        if language not in self._known:
            self._known[language] = self._opened(language)
        return self._known[language]

    def _opened(self, language: str) -> Aligner | None:
        name = self._settings.align_model or _usual(language)
        if name is None:
            _log.info("no aligner for %r is here: word times are Whisper's own", language)
            return None
        try:
            return Aligner(language, self._settings.device, name)
        except (ValueError, OSError) as error:
            _log.warning("the aligner %s does not load: word times are Whisper's own (%s)", name, error)
            return None


def _usual(language: str) -> str | None:
    """WhisperX's choice for the language; None: it has none, or the model was never fetched."""
    name: str | None = DEFAULT_ALIGN_MODELS_TORCH.get(language)
    if name is None:
        name = DEFAULT_ALIGN_MODELS_HF.get(language)
        return name  # whether it was fetched, the hub's library sees when it looks into its cache
    bundle: Any = getattr(torchaudio.pipelines, name)
    fetched = Path(torch.hub.get_dir(), "checkpoints", Path(bundle._path).name)
    return name if fetched.is_file() else None


class Diarizer:
    """Names the speaker of each word; one recording at a time."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline

    def named(self, sound: NDArray[np.float32], words: tuple[WrittenWord, ...]) -> tuple[WrittenWord, ...]:
        """The same words; a speaker keeps its name, as "SPEAKER_00", through the recording."""
        return with_speakers(words, self._pipeline(sound))


def open_diarizer(settings: QualitySpeechToTextSettings) -> Diarizer | None:
    """None: it is not wanted, or cannot be had, and then the log says why."""
    if not settings.diarize:
        return None
    if settings.diarize_token is None:
        _log.warning("speakers are not told apart: quality_speech_to_text.diarize_token is missing")
        return None
    token = settings.diarize_token.get_secret_value()
    try:
        return Diarizer(DiarizationPipeline(token=token, device=settings.device))
    except Exception as error:  # the hub's and pyannote's have no base in common
        _log.warning("speakers are not told apart: the model does not load (%s)", type(error).__name__)
        return None


def with_speakers(words: tuple[WrittenWord, ...], turns: Any) -> tuple[WrittenWord, ...]:
    """`turns`: pyannote's table of who speaks from when to when, in seconds."""
    timed = [{"start": word.start_ms / 1_000, "end": word.end_ms / 1_000} for word in words]
    whole = {"start": timed[0]["start"], "end": timed[-1]["end"], "words": timed}
    assign_word_speakers(turns, {"segments": [whole]}, fill_nearest=True)
    return tuple(
        replace(word, speaker=str(aligned.get("speaker", "")))
        for word, aligned in zip(words, timed, strict=True)
    )


_log: Final = logging.getLogger(__name__)
_WINDOW_S: Final = WINDOW // RATE
_HOP: Final = 160
"""Samples that one frame of Whisper's spectrogram stands for."""
_MOST_TOKENS: Final = 448
_NO_REPEAT: Final = 3
"""In a text that repeats itself, no so many tokens may come twice when it is written anew."""
_LONGEST_S: Final = 1.0
"""Whisper counts a pause to the word that follows; no word takes longer than this."""
_ONSET: Final = 0.5
_OFFSET: Final = 0.363

Sound = NDArray[np.float32]
Written = tuple[str, str, tuple[WrittenWord, ...]]
"""Text, language, words."""


class WhisperXModel:
    """A loaded model and what belongs to it. `spoken` may be called from any thread, `write` from one."""

    def __init__(self, settings: QualitySpeechToTextSettings, model: str, cache: Path) -> None:
        """`model`: a folder for CTranslate2, or a name that the hub knows."""
        torch.set_num_threads(settings.threads)
        self._whisper = _Model(
            model,
            device=settings.device,
            compute_type=settings.compute_type,
            cpu_threads=settings.threads,
        )
        with contextlib.redirect_stdout(io.StringIO()):  # it prints
            self._pipe = whisperx.asr.load_model(
                model,
                settings.device,
                compute_type=settings.compute_type,
                asr_options={"beam_size": settings.beam},
                vad_model=_SileroVad(_ONSET),
                model=self._whisper,
                threads=settings.threads,
            )
        self._mels = self._whisper.feat_kwargs.get("feature_size") or 80
        self._tokenizers: dict[str, Tokenizer] = {}
        self._aligners = Aligners(settings, cache)
        self.diarizer: Diarizer | None = open_diarizer(settings)

    def knows(self, language: str | None) -> bool:
        """Can it be told that this is spoken? Else it finds out by itself."""
        token = self._whisper.hf_tokenizer.token_to_id(f"<|{language}|>")
        return self._whisper.model.is_multilingual and token is not None

    def spoken(self, sound: Sound) -> list[tuple[int, int]]:
        """(First sample, end) of what is spoken, in pieces of at most 30 s."""
        vad = self._pipe.vad_model
        found = vad({"waveform": vad.preprocess_audio(sound), "sample_rate": RATE})
        if not found:
            return []
        merged = vad.merge_chunks(found, _WINDOW_S, onset=_ONSET, offset=_OFFSET)
        spans = [(int(one["start"] * RATE), int(one["end"] * RATE)) for one in merged]
        return [(start, min(end, start + WINDOW)) for start, end in spans]

    def write(
        self, sounds: Sequence[Sound], *, language: str | None, prompt: str, words: bool
    ) -> list[Written]:
        """Decode all of them at once. A language not given, or not known, is found out for each."""
        features = torch.stack([self._features(sound) for sound in sounds])
        encoded = self._whisper.encode(features)
        if language is None or not self.knows(language):
            languages = self._languages(encoded)
            if len(set(languages)) > 1:
                return [
                    written
                    for sound, heard in zip(sounds, languages, strict=True)
                    for written in self.write([sound], language=heard, prompt=prompt, words=words)
                ]
            language = languages[0]
        tokenizer = self._tokenizer(language)
        self._whisper.most_new_tokens = most_tokens(max(map(len, sounds)) / RATE)
        options = replace(self._pipe.options, initial_prompt=prompt or None)
        texts = self._texts(encoded, tokenizer, options)
        for at in [at for at, text in enumerate(texts) if repeats_itself(text)]:
            alone = self._whisper.encode(features[at : at + 1])
            (texts[at],) = self._texts(alone, tokenizer, replace(options, no_repeat_ngram_size=_NO_REPEAT))
        if not words:
            return [(text, language, ()) for text in texts]
        timed = self._timed(sounds, texts, encoded, tokenizer)
        return [
            (text, language, placed(text, times, language)) for text, times in zip(texts, timed, strict=True)
        ]

    def _texts(self, encoded: Any, tokenizer: Any, options: Any) -> list[str]:
        written = self._whisper.generate_segment_batched(encoded, tokenizer, options)
        return [text.strip() for text in written["text"]]

    def _timed(
        self, sounds: Sequence[Sound], texts: Sequence[str], encoded: Any, tokenizer: Any
    ) -> list[list[AlignedWord]]:
        """By the language's aligner, if there is one; else by where Whisper looked while it wrote."""
        aligner = self._aligners.of(tokenizer.language_code)
        if aligner is not None:
            return [aligner.timed(sound, text) for sound, text in zip(sounds, texts, strict=True)]
        found = self._whisper.find_alignment(
            tokenizer,
            [tokenizer.encode(f" {text}") for text in texts],
            encoded,
            [max(1, min(len(sound), WINDOW) // _HOP) for sound in sounds],
        )
        return [
            [
                AlignedWord(word["word"], max(word["start"], word["end"] - _LONGEST_S), word["end"])
                for word in one
            ]
            for one in found
        ]

    def _features(self, sound: Sound) -> Any:
        if len(sound) > WINDOW:
            raise ValueError(f"{len(sound) / RATE:.1f} s are more than Whisper's window has")
        return log_mel_spectrogram(sound, n_mels=self._mels, padding=WINDOW - len(sound))

    def _languages(self, encoded: Any) -> list[str]:
        if not self._whisper.model.is_multilingual:
            return ["en"] * encoded.shape[0]
        return [likely[0][0][2:-2] for likely in self._whisper.model.detect_language(encoded)]

    def _tokenizer(self, language: str) -> Any:
        """Kept for each language, as swapping WhisperX's only one is what makes it unsafe."""
        if language not in self._tokenizers:
            multilingual = self._whisper.model.is_multilingual
            self._tokenizers[language] = Tokenizer(
                self._whisper.hf_tokenizer, multilingual, task="transcribe", language=language
            )
        return self._tokenizers[language]


class _Model(whisperx.asr.WhisperModel):  # type: ignore[misc]
    """WhisperX's, which takes what it has encoded before, and does not write on and on in a loop."""

    most_new_tokens = _MOST_TOKENS

    def get_prompt(self, *args: Any, **kwargs: Any) -> Any:
        """Asked for just before it decodes: its limit counts the prompt as well."""
        prompt = super().get_prompt(*args, **kwargs)
        self.max_length = min(_MOST_TOKENS, len(prompt) + self.most_new_tokens)
        return prompt

    def encode(self, features: Any) -> Any:
        return features if isinstance(features, ctranslate2.StorageView) else super().encode(features)


class _SileroVad(Vad):  # type: ignore[misc]
    """The one that comes with faster-whisper: WhisperX's own is fetched when it is first used."""

    def __call__(self, audio: dict[str, Any], **_: Any) -> list[Segment]:
        options = VadOptions(threshold=_ONSET, max_speech_duration_s=_WINDOW_S)
        found = get_speech_timestamps(audio["waveform"], options)
        return [Segment(one["start"] / RATE, one["end"] / RATE, "UNKNOWN") for one in found]

    @staticmethod
    def preprocess_audio(audio: Any) -> Any:
        return audio
