"""Sentence splitter that WhisperX's aligner asks NLTK for, without fetching it.

It asks NLTK for a sentence splitter before it aligns. Only times of words are taken from it, so a small list
of abbreviations is enough, for the languages spoken here; the others get an empty one.
"""

import os
import tempfile
from pathlib import Path
from typing import Final

_ABBREVIATIONS: Final = {
    "english": "approx apr aug capt co col corp dec dept dr e.g etc feb fig gen gov i.e inc jan jr lt ltd "
    "maj mr mrs ms no nov oct p.m a.m prof rep rev sen sep sgt sr st u.k u.s vol vs",
    "german": "abb bd bspw bzw ca d.h dr evtl fr ggf hr inkl jh max min mio mrd nr prof s.o s.u sog st str "
    "tel u.a usw vgl z.b z.t",
}
_LANGUAGES: Final = (
    "czech",
    "danish",
    "dutch",
    "english",
    "estonian",
    "finnish",
    "french",
    "german",
    "greek",
    "italian",
    "malayalam",
    "norwegian",
    "polish",
    "portuguese",
    "russian",
    "slovene",
    "spanish",
    "swedish",
    "turkish",
)
_EMPTY: Final = ("collocations.tab", "sent_starters.txt", "ortho_context.tab")


def punkt_folder(cache: Path) -> Path:
    """A folder for NLTK's search path, made if need be; the user's own data come before it there."""
    folder = cache / "nltk"
    for language in _LANGUAGES:
        place = folder / "tokenizers" / "punkt_tab" / language
        place.mkdir(parents=True, exist_ok=True)
        words = _ABBREVIATIONS.get(language, "").split()
        for name, text in (("abbrev_types.txt", "\n".join(words)), *((name, "") for name in _EMPTY)):
            if not (place / name).is_file():
                _write(place / name, text)
    return folder


def _write(path: Path, text: str) -> None:
    """Whole or not at all: several replicas may start at once."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    os.replace(file.name, path)
