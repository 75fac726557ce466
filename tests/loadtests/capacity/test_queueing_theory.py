"""The simulation gives what queueing theory says, where theory says anything."""

import random
from collections.abc import Callable
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.capacity.simulator.work_station import EventCalendar, Walk, WorkHost, WorkStation
from tests.loadtests.capacity import queueing_formulas

JOBS = 30_000


def mean_stay(
    station_on: Callable[[WorkHost], WorkStation],
    arrivals: float,
    service: Callable[[], float],
    dice: random.Random,
) -> float:
    """Seconds from arriving to being served, of jobs that arrive by themselves."""
    calendar = EventCalendar()
    station = station_on(WorkHost(calendar, "host", inf))
    stays: list[float] = []

    def job() -> Walk:
        came = calendar.now
        yield station.work(service())
        stays.append(calendar.now - came)

    def stream() -> Walk:
        for _ in range(JOBS):
            yield calendar.pause(dice.expovariate(arrivals))
            calendar.start(job())

    calendar.start(stream())
    calendar.run(inf)
    assert len(stays) == JOBS
    return sum(stays) / JOBS


@pytest.mark.parametrize(("servers", "load"), [(1, 0.6), (3, 0.75), (8, 0.75)])
def test_several_servers_make_people_wait_as_erlang_says(servers: int, load: float) -> None:
    dice = random.Random(servers)
    arrivals = load * servers
    stay = mean_stay(
        lambda host: WorkStation(host, "c", places=servers), arrivals, lambda: dice.expovariate(1.0), dice
    )
    assert stay == pytest.approx(1.0 + queueing_formulas.mmc_wait(arrivals, 1.0, servers), rel=0.08)


def test_one_server_with_equal_jobs_makes_people_wait_as_pollaczek_and_khinchine_say() -> None:
    dice = random.Random(7)
    stay = mean_stay(lambda host: WorkStation(host, "d", places=1), 0.7, lambda: 1.0, dice)
    assert stay == pytest.approx(1.0 + queueing_formulas.md1_wait(0.7, 1.0), rel=0.05)


@pytest.mark.parametrize("spread", ["equal", "very unequal"])
def test_a_shared_processor_minds_the_mean_of_the_jobs_only(spread: str) -> None:
    dice = random.Random(11)

    def service() -> float:
        return 1.0 if spread == "equal" else (0.25 if dice.random() < 0.8 else 4.0)

    stay = mean_stay(lambda host: WorkStation(host, "ps", speed=lambda n: 1 / n), 0.6, service, dice)
    assert stay == pytest.approx(queueing_formulas.ps_stay(0.6, 1.0), rel=0.06)


def test_people_who_think_between_questions_are_the_machines_of_the_repairman() -> None:
    dice = random.Random(3)
    calendar = EventCalendar()
    station = WorkStation(WorkHost(calendar, "host", inf), "two", places=2)
    stays: list[float] = []

    def person() -> Walk:
        while True:
            yield calendar.pause(dice.expovariate(1 / 4.0))
            asked = calendar.now
            yield station.work(dice.expovariate(1.0))
            stays.append(calendar.now - asked)

    for _ in range(10):
        calendar.start(person())
    calendar.run(8_000.0)
    stay, rate = queueing_formulas.closed_cycle(10, 4.0, 1.0, 2)
    assert sum(stays) / len(stays) == pytest.approx(stay, rel=0.06)
    assert len(stays) / calendar.now == pytest.approx(rate, rel=0.04)


def test_stations_on_one_host_are_slowed_down_alike() -> None:
    calendar = EventCalendar()
    host = WorkHost(calendar, "two cores", 2.0)
    first, second = WorkStation(host, "a"), WorkStation(host, "b")
    ended: dict[str, float] = {}
    for name, station in (("a", first), ("b", second), ("c", second), ("d", second)):
        station.enter((1.0,), lambda _, name=name: ended.update({name: calendar.now}))  # type: ignore[misc]
    calendar.run(100.0)
    assert ended == pytest.approx(dict.fromkeys("abcd", 2.0))
    assert host.utilisation() == pytest.approx(2.0 / 100)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.floats(0, 5), st.floats(0.01, 3)), min_size=1, max_size=25),
    st.sampled_from([1, 2, 4]),
    st.floats(0.5, 4),
)
def test_no_work_is_lost_or_made_up(jobs: list[tuple[float, float]], places: int, capacity: float) -> None:
    calendar = EventCalendar()
    host = WorkHost(calendar, "host", capacity)
    station = WorkStation(host, "some", places=places)
    ended: list[int] = []

    def job(number: int, at: float, work: float) -> Walk:
        yield calendar.pause(at)
        yield station.work(work)
        ended.append(number)

    for number, (at, work) in enumerate(jobs):
        calendar.start(job(number, at, work))
    calendar.run(1_000.0)
    assert sorted(ended) == list(range(len(jobs)))
    assert len(station) == 0
    used = host.utilisation() * capacity * calendar.now
    assert used == pytest.approx(sum(work for _, work in jobs), rel=1e-6, abs=1e-6)
