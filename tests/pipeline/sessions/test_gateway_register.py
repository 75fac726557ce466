"""A gateway reads the announcements of the others on its machine."""

from dataclasses import replace

import orjson
import pytest

from pipeline.admission.concurrency_limiter import Neighbours
from pipeline.sessions.gateway_register import GatewayPresence, neighbours

NOW_MS = 1_000_000
OURS = GatewayPresence("ours", "here", 1, "1", since_ms=0, seen_ms=NOW_MS)
OTHER = replace(OURS, gateway="other", turns=3, lately=[(0.5, 2.0)])


def among(*others: GatewayPresence) -> Neighbours:
    return neighbours(OURS, {one.gateway: one for one in (OURS, *others)})


def test_it_is_none_of_its_own_neighbours() -> None:
    assert (among().gateways, among().turns, list(among().lately)) == (0, 0, [])


def test_others_of_its_machine_count_together() -> None:
    third = replace(OTHER, gateway="third", turns=1, lately=[(0.0, 1.0)])
    found = among(OTHER, third)
    assert (found.gateways, found.turns, found.lately) == (2, 4, [(0.5, 2.0), (0.0, 1.0)])


def test_other_machines_have_processors_of_their_own() -> None:
    found = among(replace(OTHER, host="there"))
    assert (found.gateways, found.turns, found.lately) == (0, 0, [])


def test_a_gateway_that_fell_silent_runs_nothing_and_what_it_said_grows_old() -> None:
    found = among(replace(OTHER, seen_ms=NOW_MS - 2_000))
    assert (found.gateways, found.turns, found.lately) == (0, 0, [(2.5, 2.0)])


def test_a_gateway_that_runs_nothing_announces_itself_seldom_and_counts_all_the_same() -> None:
    found = among(replace(OTHER, turns=0, seen_ms=NOW_MS - 2_000))
    assert (found.gateways, found.turns, found.lately) == (1, 0, [(2.5, 2.0)])


def test_an_announced_gateway_arrives_as_it_was() -> None:
    assert among(GatewayPresence.unpacked(OTHER.packed())) == among(OTHER)


@pytest.mark.parametrize(
    "strange",
    [
        {"lately": [(0.5, 2.0, 1.0)]},
        {"lately": [(0.5, None)]},
        {"seen_ms": "now"},
        {"turns": None},
        {"lately": 3},
    ],
)
def test_an_announcement_without_usable_numbers_is_refused_where_it_is_read(
    strange: dict[str, object],
) -> None:
    said = orjson.dumps(orjson.loads(OTHER.packed()) | strange)
    with pytest.raises((TypeError, ValueError)):
        GatewayPresence.unpacked(said)
