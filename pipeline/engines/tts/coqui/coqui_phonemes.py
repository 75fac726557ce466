"""Coqui's phonemes without a program: it starts espeak-ng for every clause; Piper has it in process."""

import re
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from piper import espeakbridge
from piper.phonemize_espeak import ESPEAK_DATA_DIR
from TTS.tts.utils.text import phonemizers
from TTS.tts.utils.text.phonemizers.base import BasePhonemizer
from TTS.tts.utils.text.punctuation import Punctuation

from pipeline.engines.tts.piper_words import TextWord, pieces, speakable
from pipeline.engines.tts.voice_windows import Sentence, WindowPiece, bounded

PHONEMIZER: Final = "espeak"
"""The name that Coqui's configurations have for it."""
_LANGUAGE_SWITCH: Final = re.compile(r"\(.+?\)")
_OLD_NAMES: Final = {"en": "en-us", "zh-cn": "cmn"}
_ALONE_CACHED: Final = 8_192
_espeak = threading.Lock()


class InProcessEspeak(BasePhonemizer):  # type: ignore[misc]
    """Says what Coqui's own "espeak" says."""

    def __init__(
        self, language: str, punctuations: str = Punctuation.default_puncs(), *, keep_puncs: bool = True
    ) -> None:
        with _espeak:
            espeakbridge.initialize(str(ESPEAK_DATA_DIR))
        super().__init__(_OLD_NAMES.get(language, language), punctuations, keep_puncs=keep_puncs)

    @staticmethod
    def name() -> str:
        return PHONEMIZER

    @classmethod
    def is_available(cls) -> bool:
        return True

    def version(self) -> str:
        return "in process"

    @staticmethod
    def supported_languages() -> dict[str, str]:
        """Unused: see `is_supported_language`."""
        return {}

    def is_supported_language(self, language: str) -> bool:
        try:
            with _espeak:
                espeakbridge.set_voice(language)
        except RuntimeError:
            return False
        return True

    def _phonemize(self, text: str, separator: str) -> str:
        with _espeak:
            espeakbridge.set_voice(self._language)
            clauses = espeakbridge.get_phonemes(text)
        return "".join(_LANGUAGE_SWITCH.sub("", phonemes).strip() for phonemes, *_ in clauses)


def use_in_process_espeak() -> None:
    """Make it the one that Coqui's configurations get when they ask for "espeak", or for nothing."""
    phonemizers._register_phonemizers()
    phonemizers.PHONEMIZERS[PHONEMIZER] = InProcessEspeak
    for language in ("en", "en-us", "en-gb", "de", "fr-fr", "es", "it", "nl", "pl", "pt", "ru"):
        phonemizers.DEF_LANG_TO_PHONEMIZER.setdefault(language, PHONEMIZER)


class Pronunciation:
    """Text to what a Coqui network is given, by its own tokenizer. Safe to use from several threads."""

    def __init__(self, tokenizer: Any, language: str | None) -> None:
        """`language`: of the phonemes, as a tag; None: it is not known."""
        self._tokenizer = tokenizer
        self._language = language
        characters = tokenizer.characters
        self._marks = frozenset(characters.punctuations)
        self._known = frozenset(characters.vocab) - {characters.pad, characters.bos, characters.eos}
        self._alone: Callable[[str], str] = lru_cache(_ALONE_CACHED)(self._pronounce_alone)

    def pronounce(self, text: str) -> list[WindowPiece]:
        """The whole text, in pieces; empty where there is nothing to pronounce."""
        return [piece for words in pieces(text, self._language) if (piece := self._piece(words)).sentences]

    def _piece(self, words: list[TextWord]) -> WindowPiece:
        symbols = self._symbols(speakable(words))
        sentences = [] if self._marks.issuperset(symbols) else map(self._sentence, bounded(symbols))
        return WindowPiece(tuple(words), tuple(self._alone(word.text) for word in words), tuple(sentences))

    def _pronounce_alone(self, word: str) -> str:
        symbols = self._symbols(speakable([TextWord(0, len(word), word)]))
        return "".join(symbol for symbol in symbols if symbol == " " or symbol not in self._marks).strip()

    def _symbols(self, text: str) -> list[str]:
        tokenizer = self._tokenizer
        if tokenizer.text_cleaner is not None:
            text = tokenizer.text_cleaner(text, lang=None)
        if tokenizer.phonemizer is not None and text.strip():
            text = tokenizer.phonemizer.phonemize(text, separator="", language=None)
        return [symbol for symbol in text if symbol in self._known]

    def _sentence(self, symbols: list[str]) -> Sentence:
        tokenizer = self._tokenizer
        ids = tokenizer.encode("".join(symbols))
        before, step = int(tokenizer.use_eos_bos), 1
        if tokenizer.add_blank:
            ids, before, step = tokenizer.intersperse_blank_char(ids), before + 1, 2
        starts = [before + step * at for at in range(len(symbols))]
        end = len(ids) + int(tokenizer.use_eos_bos)
        if tokenizer.use_eos_bos:
            ids = tokenizer.pad_with_bos_eos(ids)
        return Sentence(tuple(symbols), tuple(ids), (*starts, end))
