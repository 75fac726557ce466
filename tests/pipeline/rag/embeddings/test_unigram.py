"""Pieces of text, against the library that is known to do it right."""

from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import Unigram as Known

from pipeline.rag.embeddings.e5 import Unigram

_PIECES = [
    ("<unk>", 0.0),
    ("a", -3.1),
    ("b", -3.3),
    ("ab", -4.2),
    ("abb", -5.7),
    ("ba", -4.9),
    ("c", -6.05),
    ("\u2581", -2.2),
    ("\u2581a", -4.55),
    ("aba", -7.15),
]


@given(st.text(st.sampled_from("abc\u2581xy"), max_size=40))
def test_the_pieces_are_those_of_the_library(text: str) -> None:
    known = Tokenizer(Known(_PIECES, unk_id=0, byte_fallback=False))
    assert Unigram(_PIECES, 0).ids(text) == known.encode(text).ids


def test_nothing_has_no_pieces() -> None:
    assert Unigram(_PIECES, 0).ids("") == []


def test_characters_that_nobody_knows_are_one_piece() -> None:
    assert Unigram(_PIECES, 0).ids("xyxa") == [0, 1]
