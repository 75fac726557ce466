"""Queues whose answer is known: what the simulation is checked against."""

from math import factorial


def erlang_c(servers: int, load: float) -> float:
    """The chance to have to wait in M/M/c; `load`: arrivals by the rate of one server."""
    top = load**servers / factorial(servers) * servers / (servers - load)
    return top / (sum(load**k / factorial(k) for k in range(servers)) + top)


def mmc_wait(arrivals: float, service_s: float, servers: int) -> float:
    """Mean seconds in the queue of M/M/c."""
    load = arrivals * service_s
    return erlang_c(servers, load) * service_s / (servers - load)


def md1_wait(arrivals: float, service_s: float) -> float:
    """Mean seconds in the queue of M/D/1 (Pollaczek and Khinchine)."""
    load = arrivals * service_s
    return load * service_s / (2 * (1 - load))


def ps_stay(arrivals: float, service_s: float) -> float:
    """Mean seconds in M/G/1 with a shared processor: only the mean of the service matters."""
    return service_s / (1 - arrivals * service_s)


def closed_cycle(people: int, think_s: float, service_s: float, servers: int) -> tuple[float, float]:
    """Mean seconds from asking to being served, and requests per second, of callers who think in between.

    The machine repairman: exponential times, one queue before all servers.
    """
    weights = [1.0]
    for waiting in range(1, people + 1):
        up = (people - waiting + 1) / think_s
        down = min(waiting, servers) / service_s
        weights.append(weights[-1] * up / down)
    total = sum(weights)
    busy = sum(min(number, servers) * weight for number, weight in enumerate(weights)) / total
    rate = busy / service_s
    mean = sum(number * weight for number, weight in enumerate(weights)) / total
    return mean / rate, rate
