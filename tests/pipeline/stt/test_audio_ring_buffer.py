"""The tape gives back what was pushed, by its time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.stt.audio_ring_buffer import AudioRingBuffer


def numbered(ms: int, at_ms: int = 0) -> bytes:
    """Sound in which every millisecond says when it was."""
    return b"".join((at_ms + number).to_bytes(4, "little") * 8 for number in range(ms))


def test_a_slice_is_what_was_said_then() -> None:
    tape = AudioRingBuffer(max_ms=10_000, at_ms=500)
    tape.push(numbered(100, 500))
    assert tape.slice(520, 540) == numbered(20, 520)
    assert (tape.from_ms, tape.at_ms) == (500, 600)


def test_a_slice_holds_no_more_than_is_kept() -> None:
    tape = AudioRingBuffer(max_ms=10_000, at_ms=500)
    tape.push(numbered(100, 500))
    assert tape.slice(0, 510) == numbered(10, 500)
    assert tape.slice(590, 9_000) == numbered(10, 590)
    assert tape.slice(700, 800) == tape.slice(540, 520) == b""


def test_forgotten_sound_is_gone() -> None:
    tape = AudioRingBuffer(max_ms=10_000)
    tape.push(numbered(100))
    tape.forget(60)
    tape.forget(30)
    assert tape.from_ms == 60
    assert tape.slice(0, 100) == numbered(40, 60)


def test_forgetting_the_future_forgets_only_what_is_there() -> None:
    tape = AudioRingBuffer(max_ms=10_000)
    tape.push(numbered(100))
    tape.forget(5_000)
    assert (tape.from_ms, tape.at_ms) == (100, 100)
    tape.push(numbered(10, 100))
    assert tape.slice(0, 1_000) == numbered(10, 100)


def test_a_part_of_a_millisecond_waits_for_its_rest() -> None:
    tape = AudioRingBuffer(max_ms=10_000)
    tape.push(bytes(31))
    assert tape.at_ms == 0
    tape.push(bytes(1))
    assert tape.at_ms == 1


steps = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(0, 3_000)),
        st.tuples(st.just("forget"), st.integers(0, 400)),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(steps, st.integers(1, 200), st.integers(0, 10_000), st.integers(-50, 500), st.integers(-50, 500))
def test_it_is_the_end_of_all_that_was_pushed(
    steps: list[tuple[str, int]], max_ms: int, at_ms: int, start: int, end: int
) -> None:
    tape, everything, forgotten_ms = AudioRingBuffer(max_ms=max_ms, at_ms=at_ms), b"", at_ms
    sound = numbered(3_000, at_ms)
    for what, amount in steps:
        if what == "push":
            tape.push((sound * 2)[len(everything) : len(everything) + amount])
            everything = (sound * 2)[: len(everything) + amount]
        else:
            tape.forget(at_ms + amount)
            forgotten_ms = max(forgotten_ms, at_ms + min(amount, len(everything) // 32))
        assert tape.at_ms == at_ms + len(everything) // 32
        assert tape.at_ms - max_ms <= tape.from_ms
        forgotten_ms = max(forgotten_ms, tape.at_ms - max_ms)
        assert tape.from_ms == forgotten_ms
    first, last = max(start, tape.from_ms - at_ms), min(end, tape.at_ms - at_ms)
    expected = everything[32 * first : 32 * last] if first < last else b""
    assert tape.slice(at_ms + start, at_ms + end) == expected
