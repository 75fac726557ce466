"""The report has the system's usage by part and per caller, as load grows."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.client.caller_record import CallerRecord
from loadtests.report.load_page import cost_values, growth_values, pictures
from loadtests.report.load_result import ProcessKill, SystemSeen
from loadtests.report.load_summary import CallersInside
from loadtests.report.svg_charts import rendered
from loadtests.runner import usage_summary
from loadtests.runner.usage_summary import SystemSample, read
from loadtests.servers.system_processes import ProcessSample

MB = 2.0**20


def drawn(system: SystemSeen) -> str:
    return rendered("system_costs.html", **cost_values(system))


def grown(people: int, mb_each: float, cores_each: float) -> SystemSeen:
    """One person comes each second and stays; each takes so much of the gateway."""
    looks = []
    used_s = 0.0
    for second in range(0, people, 2):
        used_s += 2 * cores_each * max(0, second - 1)
        held = 100 + mb_each * second
        gateway = ProcessSample("Gateway", "1 1.00", used_s, held, fds=20 + second, threads=9)
        each = {"bytes": {"gateway-1.a": held * MB}, "tasks": {"gateway-1.a": 10.0 + second}}
        looks.append(SystemSample(1_000.0 + second, {"log_bytes": second * MB / 10}, each, (gateway,)))
    visits = [CallerRecord(number, "chat", float(number), ended_s=1_000.0) for number in range(people)]
    return usage_summary.system(looks, "", 1_000.0, CallersInside(visits))


@given(st.integers(200, 400), st.floats(0.01, 1), st.floats(0.001, 0.1))
def test_the_cost_of_each_person_is_found_again(people: int, mb_each: float, cores_each: float) -> None:
    seen = grown(people, mb_each, cores_each)
    last = seen.loads[-1]
    assert abs(last.part_cores["Gateway"] / last.people - cores_each) < 0.1 * cores_each
    assert abs((last.part_mb["Gateway"] - 100) / last.people - mb_each) < 0.1 * mb_each + 0.01
    assert abs(seen.growth_mb_per_min["Gateway"] - mb_each * 60) < 0.02 * mb_each * 60
    assert abs(seen.growth_mb_per_min["log data"] - 6) < 0.1
    assert seen.gateway_growth_mb_per_min == pytest.approx(mb_each * 60, abs=0.02)
    assert seen.fd_growth_per_min == {"Gateway": 60}
    assert seen.thread_growth_per_min == {"Gateway": 0}
    assert seen.task_growth_per_min == 60


def test_the_report_has_cost_per_person_by_people_inside() -> None:
    html = drawn(grown(200, 0.2, 0.01))
    for words in ("Processor time per person", "Memory per person", "Cores used"):
        assert words in html
    each = [float(one) for one in re.findall(r"people: ([\d.]+)</title>", html)]
    assert any(abs(one - 10) < 0.2 for one in each), "thousandths of a core"


def test_where_the_parts_are_not_ours_to_look_at_it_is_what_the_operators_page_says() -> None:
    seen = grown(200, 0.2, 0.01)
    loads = tuple(load.model_copy(update={"part_cores": {}, "part_mb": {}}) for load in seen.loads)
    html = drawn(seen.model_copy(update={"loads": loads}))
    assert "MB of the gateways" in html
    assert "Cores used" not in html
    assert "Not looked at: no key" in drawn(SystemSeen(looked=False, why_not="no key"))


def test_a_gateway_that_is_too_busy_to_tell_is_no_memory_that_was_freed() -> None:
    both = {"gateway-1.a": 200 * MB, "gateway-2.b": 200 * MB, "worker-3.c": 9 * MB}
    one = {"gateway-1.a": 200 * MB}
    looks = [SystemSample(2.0 * at, {}, {"bytes": both if at % 9 else one}) for at in range(150)]
    seen = usage_summary.system(looks, "", 0.0, CallersInside([]))
    assert {load.gateway_mb for load in seen.loads} == {400.0, None}
    assert seen.gateway_growth_mb_per_min == 0


def test_growth_is_not_hidden_by_a_gateway_that_is_killed_and_begins_anew() -> None:
    looks = []
    for second in range(0, 1_200, 2):
        life, age_s = divmod(second, 400)
        held = 200 + 0.01 * age_s
        member = ProcessSample("Gateway", f"{life} 1.00", 0.0, held, fds=30, threads=9)
        looks.append(SystemSample(float(second), {}, {"bytes": {f"gateway-{life}.a": held * MB}}, (member,)))
    kills = [ProcessKill(at_s=400.0 * life, part="Gateway", pid=life, back_s=3.0) for life in (1, 2)]
    seen = usage_summary.system(looks, "", 0.0, CallersInside([]), kills=kills)
    assert seen.gateway_growth_mb_per_min == pytest.approx(0.6)
    assert seen.growth_mb_per_min["Gateway"] == pytest.approx(0.6)
    html = rendered("system_growth.html", **growth_values(seen))
    assert html.count('class="kill"') == 2 * len(pictures(seen))
    assert "another one after" in html


def test_handles_given_back_at_the_end_are_no_shrinking() -> None:
    looks = []
    for second in range(0, 600, 2):
        member = ProcessSample("Gateway", "1 1.00", 0.0, 200.0, fds=90 if second <= 500 else 30, threads=9)
        looks.append(SystemSample(float(second), {"streams": 40.0 if second <= 500 else 9.0}, {}, (member,)))
    seen = usage_summary.system(looks, "", 0.0, CallersInside([]), seconds=500)
    assert (seen.fd_growth_per_min["Gateway"], seen.stream_growth_per_min) == (0, 0)
    assert seen.loads[-1].part_fds == {"Gateway": 30}, "it is drawn all the same"


def test_processor_time_of_a_process_that_took_a_dead_ones_place_is_what_it_used_itself() -> None:
    before = ProcessSample("Gateway", "1 1.00", 50.0, 200, fds=30, threads=9)
    after = ProcessSample("Gateway", "2 9.00", 3.0, 200, fds=30, threads=9)
    seen = usage_summary.system(
        [SystemSample(0.0, {}, {}, (before,)), SystemSample(2.0, {}, {}, (after,))],
        "",
        0.0,
        CallersInside([]),
    )
    assert [load.part_cores for load in seen.loads] == [{}, {"Gateway": 1.5}]


def test_the_operators_page_is_read_by_process_and_of_it_the_gateways_memory() -> None:
    page = """# HELP rhapsode_memory_bytes Resident memory of the process.
rhapsode_memory_bytes{process="gateway-1.a"} 1.5e8
rhapsode_memory_bytes{process="gateway-2.b"} 5e7
rhapsode_memory_bytes{process="worker-1.c"} 9e9
rhapsode_tasks{process="worker-1.c"} 9.0
rhapsode_listeners{process="gateway-1.a"} 2.0
rhapsode_listeners{process="gateway-2.b"} 3.0
rhapsode_log_memory_bytes 1e6
rhapsode_log_commands_total 17.0
rhapsode_turns_total{kind="prompt",input="text",outcome="completed"} 4"""
    summed, each = read(page.splitlines())
    assert summed == {"listeners": 5.0, "log_bytes": 1e6, "log_commands": 17.0}
    assert each["tasks"] == {"worker-1.c": 9.0}
    assert SystemSample(0.0, summed, each).gateway_bytes == {"gateway-1.a": 1.5e8, "gateway-2.b": 5e7}
