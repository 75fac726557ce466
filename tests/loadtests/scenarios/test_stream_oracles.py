"""Each fault is put into a good stream once, and is found; nothing else is."""

from collections import Counter

from hypothesis import assume, given
from hypothesis import strategies as st

from loadtests.client import oracles
from loadtests.client.received_events import fingerprint, packets
from tests.loadtests.altered_streams import MINE, Frame, noted, places, sound, stream

THEIRS = "Zodadadadada"
MS = st.integers(1, 15).map(lambda packets: packets * 20)
STREAMS = st.builds(
    stream,
    st.lists(st.text(st.characters(codec="utf-8"), max_size=9), min_size=1, max_size=5),
    st.lists(st.lists(MS, min_size=1, max_size=4), min_size=1, max_size=4),
)


def kinds(frames: list[Frame], late: dict[int, float] | None = None) -> Counter[str]:
    return Counter(finding.kind for finding in oracles.judge(noted(frames, late=late)))


@given(STREAMS, st.booleans())
def test_a_good_stream_and_its_log_have_no_findings(frames: list[Frame], hears: bool) -> None:
    notes = noted(frames, hears=hears)
    assert oracles.judge(notes) == []
    log = {event["seq"]: fingerprint(event) for event, _ in frames}
    beyond = {len(frames) + 1: 1}
    assert list(oracles.against_log(notes, log | beyond)) == []
    answer = notes.turns[2].answer
    assert answer.sound_ms == notes.turns[2].told_ms
    assert answer.ended == "turn.completed"


@given(STREAMS, st.data())
def test_a_lost_event_is_found(frames: list[Frame], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(frames) - 2))
    assert kinds(frames[:at] + frames[at + 1 :])[oracles.LOST] == 1


@given(STREAMS, st.data())
def test_an_event_that_comes_twice_is_found(frames: list[Frame], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(frames) - 1))
    again = data.draw(st.integers(at + 1, len(frames)))
    found = kinds([*frames[:again], frames[at], *frames[again:]])
    assert found[oracles.DOUBLED] == 1
    assert found[oracles.LOST] == found[oracles.DISORDERED] == 0


@given(STREAMS, st.data())
def test_an_event_that_comes_too_late_is_found_and_is_not_lost(
    frames: list[Frame], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(frames) - 2))
    later = data.draw(st.integers(at + 1, len(frames) - 1))
    found = kinds([*frames[:at], *frames[at + 1 : later + 1], frames[at], *frames[later + 1 :]])
    assert found[oracles.DISORDERED] == 1
    assert found[oracles.LOST] == found[oracles.DOUBLED] == 0


@given(STREAMS, st.data())
def test_sound_that_is_not_all_there_is_found(frames: list[Frame], data: st.DataObject) -> None:
    at = data.draw(st.sampled_from(places(frames, "audio.chunk")))
    event, audio = frames[at]
    shorter = data.draw(st.integers(0, len(audio) - 1))
    found = kinds([*frames[:at], (event, audio[:shorter]), *frames[at + 1 :]])
    assert found[oracles.CUT_TAILS] == 2, "of the sentence, and of the whole"


@given(STREAMS, st.data())
def test_words_of_somebody_else_are_found_however_they_are_cut(
    frames: list[Frame], data: st.DataObject
) -> None:
    at = places(frames, "text.delta")[0]
    cut = data.draw(st.integers(1, len(THEIRS) - 1))
    first, second = THEIRS[:cut], THEIRS[cut:]
    seq = frames[at][0]["seq"]
    delta = frames[at][0]
    texts = [f"The lamp of {MINE} and {first}", f"{second} burnt."]
    doctored = [
        ({**delta, "seq": seq + n, "data": {"at": 0, "text": text}}, b"") for n, text in enumerate(texts)
    ]
    rest = [({**event, "seq": event["seq"] + 1}, audio) for event, audio in frames[at + 1 :]]
    notes = noted([*frames[:at], *doctored, *rest])
    assert notes.foreign == {THEIRS}
    assert [finding.kind for finding in oracles.judge(notes)] == [oracles.CROSS_TALK]


@given(STREAMS, st.data(), st.floats(0.1, 60))
def test_a_silence_that_is_heard_is_found_unless_it_is_the_listeners_own(
    frames: list[Frame], data: st.DataObject, late_s: float
) -> None:
    chunks = places(frames, "audio.chunk")
    assume(len(chunks) > 1)
    at = data.draw(st.sampled_from(chunks[1:]))
    waited_s = late_s + sum(frames[before][0]["data"]["ms"] for before in chunks if before < at) / 1_000
    assert kinds(frames, {at: waited_s}) == {oracles.GAPS: 1}
    notes = noted(frames, late={at: waited_s})
    notes.punctual = False
    assert oracles.judge(notes) == []
    notes.punctual = True
    notes.disturb()
    assert oracles.judge(notes) == []


@given(STREAMS, st.data())
def test_an_event_that_the_log_has_otherwise_or_not_at_all_is_found(
    frames: list[Frame], data: st.DataObject
) -> None:
    notes = noted(frames)
    log = {event["seq"]: fingerprint(event) for event, _ in frames}
    seq = data.draw(st.sampled_from(sorted(log)))
    other = fingerprint(frames[seq - 1][0] | {"ts": 0})
    missing = {number: found for number, found in log.items() if number != seq}
    for doctored in (log | {seq: other}, missing):
        assert [finding.kind for finding in oracles.against_log(notes, doctored)] == [oracles.DIFFERING]


@given(st.lists(MS), st.integers(0, 4))
def test_packets_are_counted_whole(sizes: list[int], short: int) -> None:
    whole = b"".join(map(sound, sizes))
    assert packets(whole) == sum(sizes) // 20
    assert packets(whole[: len(whole) - short]) == sum(sizes) // 20 - bool(short and sizes)


def test_an_event_is_the_same_whatever_carries_it() -> None:
    [(event, _), *_] = stream(["a"], [[20]])
    turned = dict(reversed(event.items()))
    assert fingerprint(event) == fingerprint(turned | {"audio": "AAAA"})
    assert fingerprint(event) != fingerprint(event | {"ts": 5})
