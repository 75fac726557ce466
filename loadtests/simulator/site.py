"""The machines of a plan, built: who is asked when there are several, and who was busy."""

import random
from collections.abc import Mapping, Sequence

from loadtests.simulator.calendar import Calendar
from loadtests.simulator.plan import Plan, Stage
from loadtests.simulator.station import Host, Station


class Pool:
    """The replicas of one stage. The less busy of two picked at random is asked, as Ray Serve does it."""

    def __init__(self, stations: Sequence[Station], dice: random.Random) -> None:
        self.stations = stations
        self._dice = dice

    def pick(self) -> Station:
        if len(self.stations) == 1:
            return self.stations[0]
        first, second = self._dice.sample(range(len(self.stations)), 2)
        return min(self.stations[first], self.stations[second], key=len)

    def of(self, number: int) -> Station:
        """Whose it stays: a session's gateway, and its shard of the log."""
        return self.stations[number % len(self.stations)]


class Site:
    """Everything that works."""

    def __init__(self, plan: Plan, calendar: Calendar, dice: random.Random) -> None:
        self.plan = plan
        self.calendar = calendar
        self.dice = dice
        self._hosts = {
            name: [Host(calendar, name, kind.capacity) for _ in range(kind.count)]
            for name, kind in plan.hosts.items()
        }
        self.pools = {name: Pool(self._stations(name, stage), dice) for name, stage in plan.stages.items()}

    def _stations(self, name: str, stage: Stage) -> list[Station]:
        hosts = self._hosts[stage.host]
        return [_station(name, stage, hosts[number % len(hosts)]) for number in range(stage.replicas)]

    def utilisation(self) -> Mapping[str, float]:
        """Of each kind of host, at the mean."""
        return {
            name: sum(host.utilisation() for host in hosts) / len(hosts)
            for name, hosts in self._hosts.items()
        }

    def longest_queues(self) -> Mapping[str, int]:
        return {
            name: max(station.longest_queue for station in pool.stations) for name, pool in self.pools.items()
        }


def _station(name: str, stage: Stage, host: Host) -> Station:
    return Station(
        host, name, speed=lambda jobs: 1.0 / stage.unit_s(jobs), claim=stage.claim, places=stage.places
    )
