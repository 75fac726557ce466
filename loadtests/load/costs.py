"""What a run cost the system under load, and this client itself. Pure arithmetic."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from loadtests.figures import percentile
from loadtests.load.result import ClientSeen, Load, ProcessSeen, SystemSeen
from loadtests.load.share import Share
from loadtests.load.summary import Inside
from loadtests.load.system import Look
from loadtests.voice.soak import slope_per_minute

_LOADS: Final = 120
_SHORTEST_GROWTH_S: Final = 120.0
_MEGABYTE: Final = 2.0**20


def system(looks: Sequence[Look], why_not: str, epoch_s: float, inside: Inside) -> SystemSeen:
    """Growth is the slope of the second half; what is made once and kept is made in the first."""
    looks = _whole(looks)
    every = max(1, len(looks) // _LOADS)
    chosen = looks[::every]
    loads = tuple(
        _load(before, look, look.moment_s - epoch_s, inside)
        for before, look in zip([None, *chosen], chosen, strict=False)
    )
    parts = {name for look in looks for name in look.part_mb}
    growth = {name: _growth(looks, [look.part_mb.get(name) for look in looks]) for name in sorted(parts)}
    growth["log data"] = _growth(looks, _megabytes(looks, "log_bytes"))
    return SystemSeen(
        looked=any("gateway_bytes" in look.figures for look in looks),
        why_not=why_not,
        loads=loads,
        gateway_growth_mb_per_min=_growth(looks, _megabytes(looks, "gateway_bytes")),
        growth_mb_per_min={name: value for name, value in growth.items() if value is not None},
    )


def _whole(looks: Sequence[Look]) -> list[Look]:
    """Where a gateway was too busy to tell, what the others hold is not what there is: that is left out."""
    gateways = max((look.figures.get("gateways", 0.0) for look in looks), default=0.0)
    return [
        look
        if look.figures.get("gateways", 0.0) == gateways
        else replace(
            look, figures={name: one for name, one in look.figures.items() if name != "gateway_bytes"}
        )
        for look in looks
    ]


def _megabytes(looks: Sequence[Look], name: str) -> list[float | None]:
    return [look.figures[name] / _MEGABYTE if name in look.figures else None for look in looks]


def _growth(looks: Sequence[Look], values: Sequence[float | None]) -> float | None:
    known = [(look.moment_s, value) for look, value in zip(looks, values, strict=True) if value is not None]
    if not known or known[-1][0] - known[0][0] < _SHORTEST_GROWTH_S:
        return None
    at_s, megabytes = zip(*known, strict=True)
    return round(slope_per_minute(at_s, megabytes), 3)


def _load(before: Look | None, look: Look, at_s: float, inside: Inside) -> Load:
    now = look.figures

    def rate(name: str) -> float | None:
        if before is None or name not in now or name not in before.figures:
            return None
        return round(max(0.0, now[name] - before.figures[name]) / (look.moment_s - before.moment_s), 3)

    def megabytes(name: str) -> float | None:
        return round(now[name] / _MEGABYTE, 2) if name in now else None

    since_s = 2.0 if before is None else look.moment_s - before.moment_s
    spent = {} if before is None else before.part_cpu_s
    return Load(
        at_s=round(max(0.0, at_s), 1),
        people=round(inside.between(at_s - since_s, at_s), 1),  # what was used was used since the last look
        gateway_mb=megabytes("gateway_bytes"),
        log_mb=megabytes("log_bytes"),
        cores=rate("cpu_s"),
        log_commands_per_s=rate("log_commands"),
        part_cores={
            name: round(max(0.0, used_s - spent[name]) / since_s, 4)
            for name, used_s in look.part_cpu_s.items()
            if name in spent
        },
        part_mb={name: round(held, 2) for name, held in look.part_mb.items()},
    )


def client(shares: Sequence[Share]) -> ClientSeen:
    seen = [_process(share) for share in shares]
    return ClientSeen(
        late_p99_ms=max(one.late_p99_ms for one in seen),
        late_most_ms=max(one.late_most_ms for one in seen),
        starts_late_p99_ms=max(one.starts_late_p99_ms for one in seen),
        cpu_s=round(sum(one.cpu_s for one in seen), 2),
        frames=sum(share.frames for share in shares),
        megabytes=round(sum(share.bytes for share in shares) / 1e6, 2),
        processes=tuple(seen) if len(seen) > 1 else (),
    )


def _process(share: Share) -> ProcessSeen:
    late = [tick.late_ms for tick in share.ticks] or [0.0]
    starts = [visit.late_s * 1_000 for visit in share.visits] or [0.0]
    used_s = share.ticks[-1].cpu_s - share.ticks[0].cpu_s if share.ticks else 0.0
    return ProcessSeen(
        people=len(share.visits),
        late_p99_ms=round(percentile(late, 0.99), 1),
        late_most_ms=round(max(late), 1),
        starts_late_p99_ms=round(percentile(starts, 0.99), 1),
        cpu_s=round(used_s, 2),
        died=share.died,
    )
