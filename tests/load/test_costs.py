"""What the system used is told by part and per person, as load grows."""

import re

from hypothesis import given
from hypothesis import strategies as st

from loadtests.load import costs
from loadtests.load.page_costs import costs as drawn
from loadtests.load.result import SystemSeen
from loadtests.load.summary import Inside
from loadtests.load.system import Look
from loadtests.load.visit import Visit

MB = 2.0**20


def grown(people: int, mb_each: float, cores_each: float) -> SystemSeen:
    """One person comes each second and stays; each takes so much of the gateway."""
    looks = []
    used_s = 0.0
    for second in range(0, people, 2):
        used_s += 2 * cores_each * max(0, second - 1)
        held = 100 + mb_each * second
        figures = {
            "gateway_bytes": held * MB,
            "gateways": 2.0,
            "log_bytes": second * MB / 10,
            "cpu_s": used_s,
        }
        looks.append(Look(1_000.0 + second, figures, {"Gateway": used_s}, {"Gateway": held}))
    visits = [Visit(number, "chat", float(number), ended_s=1_000.0) for number in range(people)]
    return costs.system(looks, "", 1_000.0, Inside(visits))


@given(st.integers(200, 400), st.floats(0.01, 1), st.floats(0.001, 0.1))
def test_what_each_person_takes_is_found_again(people: int, mb_each: float, cores_each: float) -> None:
    seen = grown(people, mb_each, cores_each)
    last = seen.loads[-1]
    assert abs(last.part_cores["Gateway"] / last.people - cores_each) < 0.1 * cores_each
    assert abs((last.part_mb["Gateway"] - 100) / last.people - mb_each) < 0.1 * mb_each + 0.01
    assert abs(seen.growth_mb_per_min["Gateway"] - mb_each * 60) < 0.02 * mb_each * 60
    assert abs(seen.growth_mb_per_min["log data"] - 6) < 0.1
    assert seen.gateway_growth_mb_per_min is not None


def test_the_report_has_cost_per_person_by_people_inside() -> None:
    html = drawn(grown(200, 0.2, 0.01))
    for words in ("Processor time per person", "Memory per person", "Cores used", "MB a minute, second half"):
        assert words in html
    each = [float(one) for one in re.findall(r"people: ([\d.]+)</title>", html)]
    assert any(abs(one - 10) < 0.2 for one in each), "thousandths of a core"


def test_where_the_parts_are_not_ours_to_look_at_it_is_what_the_operators_page_says() -> None:
    seen = grown(200, 0.2, 0.01)
    loads = tuple(load.model_copy(update={"part_cores": {}, "part_mb": {}}) for load in seen.loads)
    html = drawn(seen.model_copy(update={"loads": loads, "growth_mb_per_min": {}}))
    assert "MB of the gateways" in html
    assert "Cores used" not in html
    assert "Not looked at: no key" in drawn(SystemSeen(looked=False, why_not="no key"))


def test_a_gateway_that_is_too_busy_to_tell_is_no_memory_that_was_freed() -> None:
    looks = [
        Look(2.0 * at, {"gateway_bytes": (400 if at % 9 else 200) * MB, "gateways": 2.0 if at % 9 else 1.0})
        for at in range(100)
    ]
    seen = costs.system(looks, "", 0.0, Inside([]))
    assert {load.gateway_mb for load in seen.loads} == {400.0, None}
    assert seen.gateway_growth_mb_per_min == 0
