"""Written forms as others read them and as we do; docs/normalisation.md tells the sources."""

import unicodedata
from pathlib import Path

import pytest

from pipeline.tts.normalisation.spoken_text import to_spoken

PAIRS = Path(__file__).with_name("pairs")
AGREEING = {
    "en": (600, 0.95), "de": (600, 0.8), "zh": (50, 0.85), "ja": (80, 0.95), "ko": (100, 0.95),
    "hi": (80, 0.95), "th": (40, 0.95), "vi": (17, 0.95), "es": (24, 0.85), "it": (5, 0.95), "hu": (4, 0.95),
}  # fmt: skip
"""How many pairs there are at least, and the part that has to agree; the others differ deliberately."""
LANGUAGES = tuple(AGREEING)


def pairs(language: str) -> list[tuple[str, str, str, str, str]]:
    """Kind, written form, reading of the source, source, and our reading where it differs."""
    lines = (PAIRS / f"{language}.tsv").read_text("utf-8").splitlines()
    rows = [(line + "\t" * 4).split("\t")[:5] for line in lines if not line.startswith("#")]
    return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]


def heard(text: str, language: str) -> str:
    """Without what is written in several ways and heard alike.

    German writes numbers as one word and English with a hyphen, an "and" or neither; Asian languages take
    blanks or leave them out.
    """
    kept = (" " if unicodedata.category(one)[0] in "PS" else one for one in text.casefold())
    words = "".join(kept).split()
    return " ".join(word for word in words if word != "and") if language == "en" else "".join(words)


@pytest.mark.parametrize("language", LANGUAGES)
def test_written_forms_are_read_as_in_the_table(language: str) -> None:
    wrong = []
    for _, written, theirs, _, ours in pairs(language):
        said, read = ours or theirs, to_spoken(written, language).text
        if heard(read, language) != heard(said, language):
            wrong.append((written, read, said))
    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pairs_are_many_and_most_agree(language: str) -> None:
    table = pairs(language)
    most, part = AGREEING[language]
    assert len(table) >= most
    agreeing = [row for row in table if not row[4]]
    assert all(heard(ours, language) != heard(theirs, language) for _, _, theirs, _, ours in table if ours)
    assert len(agreeing) / len(table) >= part
