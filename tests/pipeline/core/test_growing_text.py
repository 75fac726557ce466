"""Text that grows costs what is added."""

from time import process_time

from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.texts import GrowingText


@given(st.lists(st.tuples(st.text(), st.integers(0, 50), st.integers(0, 50))))
def test_it_is_the_text_that_was_added(pieces: list[tuple[str, int, int]]) -> None:
    text, grown = "", GrowingText()
    for piece, start, end in pieces:
        text += piece
        grown.add(piece)
        assert (len(grown), grown.piece(start, end)) == (len(text), text[start:end])


def test_line_ends_stay_as_they_are() -> None:
    grown = GrowingText("one\r\n")
    grown.add("two\rthree\n")
    assert grown.piece(0, len(grown)) == "one\r\ntwo\rthree\n"


def test_the_text_before_is_not_copied_with_each_piece() -> None:
    grown, began_s = GrowingText(), process_time()
    for at in range(500_000):
        grown.add("four")
        assert at % 1_000 or grown.piece(4 * at, 4 * at + 4) == "four"
    assert process_time() - began_s < 10  # 500,000 copies of a megabyte take more than twice as long
