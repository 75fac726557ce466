"""Sound is collected into blocks: none of it is lost, and what may be speech waits for nothing more."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.stt.inputs.audio_input import AudioBlocks
from pipeline.stt.vad import FRAME_BYTES
from tests.support.speech.recordings import silence, tone

_QUIET = silence(20)
_LOUD = tone(20)
_ENOUGH = 4 * FRAME_BYTES


def pushed_until_complete(blocks: AudioBlocks, frame: bytes) -> int:
    """So many frames of 20 ms make a block."""
    count = 1
    while not blocks.push(frame):
        count += 1
    return count


def after_silence() -> AudioBlocks:
    blocks = AudioBlocks()
    blocks.listened(silence(128), _ENOUGH, silent=True)
    return blocks


def test_the_first_sound_waits_for_no_more_than_a_frame_of_the_model() -> None:
    assert pushed_until_complete(AudioBlocks(), _QUIET) == 2


def test_silence_no_louder_than_before_waits_for_as_much_again() -> None:
    assert pushed_until_complete(after_silence(), _QUIET) == 13  # two times 128 ms


def test_louder_sound_waits_only_until_there_is_enough() -> None:
    assert pushed_until_complete(after_silence(), _LOUD) == 7


def test_sound_that_becomes_louder_while_it_waits_is_complete_with_the_second_half() -> None:
    blocks = after_silence()
    assert not any(blocks.push(_QUIET) for _ in range(7))
    assert pushed_until_complete(blocks, _LOUD) == 6


def test_quiet_sound_while_somebody_speaks_waits_only_until_there_is_enough() -> None:
    blocks = after_silence()
    blocks.listened(tone(32), FRAME_BYTES, silent=False)
    assert pushed_until_complete(blocks, _QUIET) == 2


@given(st.lists(st.sampled_from([b"", _QUIET, _LOUD, silence(1_000)]), max_size=60), st.booleans())
def test_no_sound_is_lost_and_little_is_held(parts: list[bytes], silent: bool) -> None:
    blocks, given_out, pushed = AudioBlocks(), bytearray(), 0
    for part in parts:
        pushed += len(part)
        if block := blocks.push(part):
            given_out += block
            blocks.listened(block, _ENOUGH, silent=silent)
        assert pushed - len(given_out) < 2 * _ENOUGH + len(_QUIET)
    assert bytes(given_out) + blocks.take() == b"".join(parts)
