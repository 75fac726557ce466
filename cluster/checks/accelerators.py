"""The cards of this machine, against those that a configuration wants; or cards that Ray only believes in."""

from dataclasses import dataclass, field
from math import ceil

from cluster.checks.placement_check import cards_here, cards_needed, pools
from cluster.terminal.cli_errors import UsageError
from schemas.settings import AppSettings
from schemas.settings.placement_settings import FIELDS

_LEAST_CPUS = 2


@dataclass(frozen=True, slots=True)
class Accelerators:
    """Cards of this machine, as Ray's options. None: Ray detects them."""

    count: int | None = None
    kinds: dict[str, float] | None = None
    num_cpus: int = _LEAST_CPUS


@dataclass(frozen=True, slots=True)
class _Wanted:
    cards: int
    cpus: int
    kinds: dict[str, float] = field(default_factory=dict)


def for_this_machine(settings: AppSettings, pretend: int | None) -> Accelerators:
    """Raises CliError where the configuration cannot run here; `pretend`: so many cards are believed in."""
    wanted = _wanted(settings)
    if there := pools(settings):
        raise UsageError(
            f"This configuration is for a cluster with nodes of the pools {', '.join(sorted(there))}.",
            "Deploy it there: rhapsode deploy FILE --address HOST:PORT; see docs/operating.md.",
        )
    if pretend is None and wanted.cards > cards_here():
        raise UsageError(
            f"This configuration wants {wanted.cards} NVIDIA card(s); this machine shows {cards_here()}.",
            "To try it out without: --pretend-gpus 1 --scripted, or engines that run on the processor.",
        )
    if pretend is not None and wanted.cards > pretend:
        advice = f"Use --pretend-gpus {wanted.cards}."
        raise UsageError(f"This configuration wants {wanted.cards} cards.", advice)
    # Processors are only counted: a configuration for a larger machine may be tried on a small one.
    cpus = max(_LEAST_CPUS, wanted.cpus)
    return Accelerators(num_cpus=cpus) if pretend is None else Accelerators(pretend, wanted.kinds, cpus)


def _wanted(settings: AppSettings) -> _Wanted:
    places = [settings.placement.of(name) for name in FIELDS]
    cpus = sum(place.num_cpus or 0.0 for place in places)
    kinds = {f"accelerator_type:{place.accelerator}": 1.0 for place in places if place.accelerator}
    # Ray adds a replica before it ends one, and the gateway has two.
    return _Wanted(cards_needed(settings), ceil(2 * cpus), kinds)
