"""Events of an input add up to a place to transcribe again from, and to utterances that wait."""

from pipeline.session_state.input_state import InputState
from schemas.ids import Seq
from tests.pipeline.stt.inputs.test_input_recovery import final, opened, said, sound, told

CUT = "max_length"


def begun(utterance: int, at_ms: int) -> tuple[str, dict[str, int]]:
    return "speech.started", {"utterance": utterance, "at_ms": at_ms}


def cleared(utterance: int, at_ms: int) -> tuple[str, dict[str, int]]:
    return "speech.discarded", {"utterance": utterance, "at_ms": at_ms}


def test_a_clear_costs_no_utterance_before_it() -> None:
    state = told(opened(), sound(0, 5_000), *said(0, 500, 2_000), begun(1, 3_000), cleared(1, 4_000))
    assert list(state.unwritten) == [0]
    assert (state.rest_ms, state.settled_ms, state.next_utterance) == (500, 0, 0)
    assert [tuple(order) for order in state.commands] == [(4_000, "clear", 1)]


def test_once_all_before_it_is_written_down_nothing_is_heard_again() -> None:
    state = told(
        opened(),
        sound(0, 5_000),
        *said(0, 500, 2_000),
        begun(1, 3_000),
        cleared(1, 4_000),
        final(0, 2_000),
    )
    assert (state.settled_ms, state.rest_ms, state.next_utterance, state.commands) == (4_000, 5_000, 2, ())


def test_orders_are_given_again_in_the_order_of_the_sound() -> None:
    state = told(
        opened(),
        sound(0, 9_000),
        *said(0, 500, 2_000, reason="commit"),
        begun(1, 3_000),
        cleared(1, 4_000),
        *said(2, 5_000, 6_000, reason="commit"),
    )
    assert [(order.command, order.utterance) for order in state.commands] == [
        ("commit", 0),
        ("clear", 1),
        ("commit", 2),
    ]


def test_an_utterance_cut_by_its_length_is_taken_back_with_its_rest() -> None:
    state = told(
        opened(),
        *said(0, 500, 2_000, reason=CUT),
        final(0, 2_000, taken="kept"),
        begun(1, 2_032),
        cleared(1, 3_000),
    )
    assert (state.kept, state.done) == ([], {0, 1})


def test_an_utterance_taken_back_before_its_transcript_waits_for_nothing() -> None:
    events = opened(), *said(0, 500, 2_000, reason=CUT), begun(1, 2_032), cleared(1, 3_000)
    assert told(*events).unwritten == {}
    state = told(*events, final(0, 2_000, taken="kept"))
    assert (state.kept, state.texts) == ([], {})


def test_an_utterance_that_was_over_before_is_not_taken_back() -> None:
    state = told(
        opened(),
        *said(0, 500, 2_000, reason=CUT),
        *said(1, 2_032, 3_000),
        begun(2, 4_000),
        cleared(2, 5_000),
        final(0, 2_000, taken="kept"),
    )
    assert state.kept == [(0, "x")]
    assert list(state.unwritten) == [1]


def test_an_onset_that_nobody_finds_again_is_forgotten_with_time() -> None:
    half_seconds = [sound(1_000 + 500 * number, 500) for number in range(7_200)]
    state = told(opened(), sound(0, 1_000), begun(0, 700), opened(), *half_seconds)
    assert state.rest_ms == state.recorded_ms == 3_601_000
    assert len(state.sounds) < 20
    assert state.next_utterance == 0


def test_a_user_who_is_speaking_is_heard_again_from_the_onset() -> None:
    state = told(opened(), sound(0, 30_000), begun(0, 700))
    assert state.rest_ms == 700


def test_an_utterance_that_was_never_written_down_is_given_up_in_the_end() -> None:
    state = told(opened(), *said(0, 500, 2_000), sound(0, 200_000))
    assert (state.rest_ms, state.next_utterance) == (500, 0)
    state = told(opened(), *said(0, 500, 2_000), sound(0, 400_000))
    assert (state.rest_ms, state.next_utterance) == (400_000, 1)


class Utterances(list[int]):
    """Of one question, which an import may give fifty thousand."""

    def __contains__(self, number: object) -> bool:
        raise AssertionError("each look goes through all of them")


def test_waiting_utterances_are_found_among_many_without_going_through_them() -> None:
    state = InputState("a", Seq(1), record=True, kept=[(1, "one"), (2, "two")], parts=[2, 3])
    state.asked(Utterances([2, 2, 4]))
    assert (state.kept, state.parts) == ([(1, "one")], [3])
