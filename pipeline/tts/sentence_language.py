"""The language of a sentence: by its script, and among the languages of one script by how it is spelt."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from langcodes import Language

from pipeline.engines.weights.language_identifier import language_identifier
from schemas.languages import AUTO, UNDETERMINED, primary

_OWN_AT_MOST: Final = 0.01
_FOREIGN_AT_LEAST: Final = 0.3
"""Probabilities of the session's language and of the likeliest one, from which a sentence in the session's
script counts as foreign: 99 % of sentences in 20 languages do in an English session, 98 % of their first 60
characters, and of English ones none, 0.1 % (docs/languages.md)."""
_FEWEST_LETTERS: Final = 12
"""A shorter sentence in the session's script, a name or a greeting, is foreign only as a phrase is."""
_PHRASE_LETTERS: Final = 18
_PHRASE_LEAD: Final = 10.0
"""Below so many letters two words are foreign, too, if the model gives a language that a voice here speaks
at least exp(10) times the likelihood of the session's: as in 42 of 60 greetings, and in no English phrase but
in names and loans (docs/languages.md)."""
_WORD: Final = re.compile(r"\w+")
_OWN_SHARE: Final = 0.4
"""Share of the letters from which the session's script decides, whatever else is quoted in the sentence."""
_SCRIPTS: Final[Mapping[str, str]] = {
    "LATIN": "Latn",
    "GREEK": "Grek",
    "CYRILLIC": "Cyrl",
    "ARMENIAN": "Armn",
    "HEBREW": "Hebr",
    "ARABIC": "Arab",
    "SYRIAC": "Syrc",
    "THAANA": "Thaa",
    "DEVANAGARI": "Deva",
    "BENGALI": "Beng",
    "GURMUKHI": "Guru",
    "GUJARATI": "Gujr",
    "ORIYA": "Orya",
    "TAMIL": "Taml",
    "TELUGU": "Telu",
    "KANNADA": "Knda",
    "MALAYALAM": "Mlym",
    "SINHALA": "Sinh",
    "THAI": "Thai",
    "LAO": "Laoo",
    "TIBETAN": "Tibt",
    "MYANMAR": "Mymr",
    "GEORGIAN": "Geor",
    "HANGUL": "Kore",
    "ETHIOPIC": "Ethi",
    "KHMER": "Khmr",
    "MONGOLIAN": "Mong",
    "TIFINAGH": "Tfng",
    "CHEROKEE": "Cher",
    "HIRAGANA": "Jpan",
    "KATAKANA": "Jpan",
    "CJK": "Hani",
}
"""ISO 15924 codes by the first word of a letter's name in Unicode."""
_NOT_PROSE: Final = re.compile(
    r"(?:```|~~~).*|`[^`\n]*`|(?<![^\s`])[^\s/\\@_=<>{}$]*+[/\\@_=<>{}$]\S*", re.DOTALL
)
"""Code, addresses and names of files. A word is looked at from its beginning only, once."""
_READ_CHARS: Final = 2_000
_CODE: Final = 2
"""Letters of a language that has many speakers: the model's others are varieties of these."""
_WEIGHTS: Final = {"Hani": 3, "Jpan": 2, "Kore": 2}
"""Letters of other scripts that one of these is worth: it is a syllable or a word."""
_HAN: Final = frozenset(("Hans", "Hant", "Jpan", "Kore"))
_OTHER_SCRIPTS: Final = {"sr": ("Latn",), "uz": ("Cyrl",), "az": ("Cyrl",), "mn": ("Mong",)}
"""Scripts beside the usual one."""


def usual_language(choice: str, text: str, spoken: Collection[str] = (), *, in_doubt: str = "en") -> str:
    """The tag that a session's choice stands for: "auto" is the language of `text`, `in_doubt` if unclear."""
    return sentence_language(text[:_READ_CHARS], in_doubt, spoken) if choice == AUTO else choice


def sentence_language(text: str, usual: str, spoken: Collection[str] = ()) -> str:
    """The language of `text` as a BCP 47 tag, `usual` (a tag, too) unless the text says otherwise.

    Returns `UNDETERMINED` for a script of which no language is known. A few foreign words change nothing.
    `spoken`: languages of the voices, without scripts and regions; a phrase is in `usual` or one of them.
    """
    text = _NOT_PROSE.sub(" ", text)
    script = _script_of(text, usual)
    if script is None:
        return usual
    own = primary(usual)
    candidates = _identifier().candidates(script)
    in_doubt = script in _scripts_of(usual) or script == "Latn"
    if script in _scripts_of(usual) and own not in candidates:
        return usual
    if len(candidates) < 2:
        return next((usual if one == own else one for one in candidates), UNDETERMINED)
    likely = _identifier().classify(text, candidates)
    found = max(likely, key=lambda language: likely[language])
    if in_doubt and not _is_foreign(text, likely, own):
        found = _of_a_phrase(text, likely, own, spoken)
    return usual if found == own else found


def _is_foreign(text: str, likely: Mapping[str, float], own: str) -> bool:
    """Whether a sentence that may be in the session's language is in another one."""
    sure = likely.get(own, 0.0) <= _OWN_AT_MOST and max(likely.values()) >= _FOREIGN_AT_LEAST
    return sure and _letters(text) >= _FEWEST_LETTERS


def _of_a_phrase(text: str, likely: Mapping[str, float], own: str, spoken: Collection[str]) -> str:
    """The language of a phrase that is too short for `_is_foreign`: `own`, or one that is spoken."""
    known = [language for language in spoken if language in likely]
    is_phrase = _letters(text) < _PHRASE_LETTERS and len(_WORD.findall(text)) > 1
    if not known or not likely.get(own) or not is_phrase:
        return own
    found = max(known, key=lambda language: likely[language])
    # The model gives the root of the text's length in bytes of a likelihood; this takes it back.
    lead = math.log(likely[found] / likely[own]) * math.sqrt(len(text.encode())) if likely[found] else 0.0
    return found if lead >= _PHRASE_LEAD else own


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _script_of(text: str, usual: str) -> str | None:
    """The script of most of the text; None where it has no letters."""
    if text.isascii():
        return "Latn" if any(map(str.isalpha, text)) else None
    found: Counter[str] = Counter()
    for letter, count in Counter(text).items():
        if script := _script_of_letter(letter):
            found[script] += count * _WEIGHTS.get(script, 1)
    if not found:
        return None
    own = _scripts_of(usual)
    if found["Jpan"]:  # kana and the Han among them are one
        found["Jpan"] += found.pop("Hani", 0)
    whole = found.total()
    for script in own:
        if found[script] >= _OWN_SHARE * whole:
            return script
    return found.most_common(1)[0][0]


@lru_cache(maxsize=65_536)
def _script_of_letter(character: str) -> str:
    """Empty for what belongs to no script: digits, marks, letters that modify others."""
    character = unicodedata.normalize("NFKC", character)[:1]
    if unicodedata.category(character) not in ("Lu", "Ll", "Lt", "Lo"):
        return ""
    name = unicodedata.name(character, "").split(" ", 1)[0]
    return _SCRIPTS.get(name, "Zzzz")


@lru_cache(maxsize=256)
def _scripts_of(tag: str) -> tuple[str, ...]:
    """The scripts that a language is usually written in."""
    written = Language.get(tag).maximize().script or "Latn"
    more = _OTHER_SCRIPTS.get(primary(tag), ())
    return (written, *more, *(("Hani",) if written in _HAN else ()))


class _Identifier:
    """The statistical model of py3langid: 142 languages, 0.1 ms for a sentence."""

    def __init__(self, cache: Path | None) -> None:
        self._model = language_identifier(cache)
        by_script: dict[str, dict[str, None]] = {"Hani": {"zh": None}}
        for label in self._model.labels:
            for script in _scripts_of(label) if len(label) == _CODE else ():
                by_script.setdefault(script, {})[primary(label)] = None
        self._by_script = {script: tuple(known) for script, known in by_script.items()}

    def candidates(self, script: str) -> Sequence[str]:
        return self._by_script.get(script, ())

    def classify(self, text: str, candidates: Sequence[str]) -> Mapping[str, float]:
        """How likely each of them is beside the others."""
        found = dict.fromkeys(candidates, 0.0)
        for label, probability in self._model.rank(text):
            if (language := primary(label)) in found:
                found[language] += float(probability)
        whole = sum(found.values())
        return {language: probability / whole for language, probability in found.items()}


_LOADED: list[_Identifier] = []


def load(cache: Path | None = None) -> None:
    """Loads the model, once in a process; otherwise the first sentence waits for it.

    In 0.1 s from its folder in `cache`, which processes share; without one in 0.7 s and 65 MB of memory.
    """
    if not _LOADED:
        _LOADED.append(_Identifier(cache and cache.expanduser()))


def _identifier() -> _Identifier:
    if not _LOADED:
        load()
    return _LOADED[0]
