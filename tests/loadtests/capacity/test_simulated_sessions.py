"""Sessions on machines: what one person hears can be reckoned by hand, and too many people are noticed."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.capacity.simulator import graphics_cards, machine_profiles, scaling_page, small_end
from loadtests.capacity.simulator.capacity_model import demand, holds, size_for
from loadtests.capacity.simulator.machine_profiles import ASSISTANT, NARRATION, costs
from loadtests.capacity.simulator.simulation import RateCurve, SpeechModel, chunks, fragments, simulate
from loadtests.client.received_events import AnswerPlayback


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return costs()


def test_one_person_hears_what_the_timetable_says(found: dict[str, Any]) -> None:
    plan = small_end.scripted(found, cores=2.0)
    free: Mapping[str, float] = defaultdict(float)
    nothing = {"first_words_s": 0.0, "gateway": free, "language_model": free, "log": free}
    heard = simulate(replace(plan, around=nothing), 1, 60.0)
    words_ms = small_end.FIRST_TOKEN_MS
    sound_ms = words_ms + 7 * small_end.TOKEN_MS + small_end.FIRST_CHUNK_MS  # the eighth token is enough
    assert heard.ttft == pytest.approx((words_ms, words_ms))
    assert heard.ttfa == pytest.approx((sound_ms, sound_ms))
    assert heard.stalled == 0


def test_more_people_than_the_machine_carries_are_noticed(found: dict[str, Any]) -> None:
    few, many = (simulate(machine_profiles.laptop(found, NARRATION), people, 300.0) for people in (1, 12))
    assert few.steady
    assert few.stalled == 0
    assert many.ttfa[0] > 3 * few.ttfa[0]
    assert many.stalled > 0.9
    assert many.utilisation["machine"] > 0.9


def test_the_same_seed_gives_the_same_answers(found: dict[str, Any]) -> None:
    plan = machine_profiles.laptop(found, ASSISTANT)
    assert simulate(plan, 3, 60.0, seed=5) == simulate(plan, 3, 60.0, seed=5)


def test_a_cluster_that_is_large_enough_keeps_people_from_waiting(found: dict[str, Any]) -> None:
    size = size_for(found, ASSISTANT, 60)
    heard = simulate(machine_profiles.cluster(found, ASSISTANT, size), 60, 40.0)
    assert heard.steady
    assert heard.stalled == 0
    assert max(heard.utilisation.values()) < 0.9


@pytest.mark.parametrize("people", [ASSISTANT, NARRATION], ids=["assistant", "narration"])
def test_a_plan_never_takes_more_than_the_machines_have(found: dict[str, Any], people: Any) -> None:
    of = demand(found, people)
    for sessions in (1, 1_000, 10_000_000):
        size = size_for(found, people, sessions)
        one = holds(found, people, size.card, size.shape, size.speech_card)
        assert size.gateways * one.gateway >= sessions
        assert size.shards * one.shard >= sessions
        assert size.gateways >= sessions * of.gateway_cores / 0.6 - 1


def test_a_card_with_more_bandwidth_writes_faster_and_a_small_one_holds_fewer() -> None:
    shape = graphics_cards.EIGHT_BILLION
    assert [graphics_cards.step_s(card, shape, 16) for card in graphics_cards.CARDS] == sorted(
        graphics_cards.step_s(card, shape, 16) for card in graphics_cards.CARDS
    )
    assert (
        graphics_cards.sequences(graphics_cards.H200, shape)
        > graphics_cards.sequences(graphics_cards.L4, shape)
        > 0
    )
    assert shape.weights_gb == pytest.approx(16.06)
    assert shape.token_kb == pytest.approx(131.072)


@given(st.floats(1, 2_000), st.floats(1, 60))
def test_sentences_and_chunks_lose_nothing(tokens: float, seconds: float) -> None:
    speech = SpeechModel(tokens_per_s=4.5, first_tokens=8, sentence_tokens=18)
    assert sum(fragments(tokens, speech)) == pytest.approx(tokens, abs=1)
    assert sum(chunks(seconds, speech)) == pytest.approx(seconds)
    assert min(chunks(seconds, speech)) > 0


def test_a_curve_is_straight_between_its_points_and_beyond_the_last() -> None:
    curve = RateCurve.of({"1": 10.0, "2": 20.0, "4": 30.0})
    assert [curve(jobs) for jobs in (0.5, 1, 1.5, 3, 6)] == [10, 10, 15, 25, 40]
    assert RateCurve.flat(3.0)(100) == 3.0


def test_ears_count_the_silence_between_chunks() -> None:
    playback = AnswerPlayback(asked_s=10.0)
    playback.take("text.delta", {"text": "Once"}, 10.2)
    for at_s, ms in ((10.5, 200), (10.6, 300), (11.25, 100), (11.3, 100)):
        playback.take("audio.chunk", {"ms": ms}, at_s, sound_bytes=10)
    playback.take("turn.completed", {}, 11.4)
    answer = playback.answer
    assert (answer.ttft_ms, answer.ttfa_ms) == (pytest.approx(200), pytest.approx(500))
    assert answer.waits_ms == [pytest.approx(250)]
    assert (answer.stalled, answer.sound_ms, answer.sound_bytes) == (True, 700, 40)
    assert playback.remaining_s(11.3) == pytest.approx(0.15)


def test_the_page_says_what_the_model_says() -> None:
    assert scaling_page.update(check=True, quick=True) == [], 'run "python -m loadtests simulator --write"'


def test_the_kept_measurements_can_be_read(found: dict[str, Any]) -> None:
    assert found["around"]["gateway"]["turn"] > 0
    kept = small_end.kept()
    assert json.loads(small_end.KEPT.read_text()).keys() == kept.keys()
    assert all(row.answers for rows in kept.values() for row in rows)
