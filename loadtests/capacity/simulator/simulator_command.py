"""`python -m loadtests simulator`: callers on machines, as a table; and the tables of docs/scaling.md."""

import argparse
import os
import sys
from typing import Final

from loadtests.capacity.simulator import scaling_page, small_end
from loadtests.capacity.simulator.capacity_model import size_for
from loadtests.capacity.simulator.graphics_cards import CARDS
from loadtests.capacity.simulator.machine_profiles import ASSISTANT, NARRATION, cluster, costs, gpu, laptop
from loadtests.capacity.simulator.scaling_tables import in_ms
from loadtests.capacity.simulator.simulation import SimulationResult, simulate
from loadtests.capacity.simulator.simulation_plan import CallerModel, SimulationPlan
from loadtests.report.command_line import command_parser, numbers
from loadtests.report.run_info import say
from loadtests.report.tables import markdown

HABITS: Final = {"assistant": ASSISTANT, "narration": NARRATION}
_HEADINGS: Final = ["sessions", "first words", "first sound", "fell silent", "busiest", "answers"]


def main() -> None:
    """Simulate, or look after the tables of docs/scaling.md, or measure the small end."""
    arguments = _arguments()
    if arguments.measure:
        # Before any engine is imported: idle OpenMP threads must sleep, as in the replicas.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        for row in small_end.measure(arguments.measure, arguments.sessions, arguments.cache, say):
            print(row, flush=True)
            if arguments.keep:
                small_end.keep([row])
    if arguments.write or arguments.check:
        stale = scaling_page.update(check=arguments.check)
        if stale and arguments.check:
            sys.exit(f"docs/scaling.md is not what the model says: {', '.join(stale)}. Run --write.")
    if arguments.measure or arguments.write or arguments.check:
        return
    rows_of = [
        _row(_plan(arguments, sessions), sessions, arguments.seconds) for sessions in arguments.sessions
    ]
    print(markdown(_HEADINGS, rows_of))


def _arguments() -> argparse.Namespace:
    parser = command_parser("python -m loadtests simulator", main.__doc__, "--cache")
    add = parser.add_argument
    add("--sessions", type=numbers, default=[1, 2, 4, 8, 16], metavar="N,N", help="default 1,2,4,8,16")
    add("--profile", choices=("laptop", "gpu", "cluster"), default="laptop", help="which machines")
    add("--habit", choices=tuple(HABITS), default="assistant", help="what callers do (default assistant)")
    add("--card", choices=[card.name for card in CARDS], default="L40S", help="that writes (on paper)")
    add(
        "--fixed",
        type=int,
        metavar="N",
        help="the cluster that is right for so many, whatever --sessions says",
    )
    add("--seconds", type=float, default=300.0, help="of simulated time (default 300)")
    add("--write", action="store_true", help="put the tables into docs/scaling.md")
    add("--check", action="store_true", help="fail if the tables of docs/scaling.md are others")
    add("--measure", nargs="+", choices=("scripted", "real"), help="the small end, on this machine")
    add("--keep", action="store_true", help="with --measure: write docs/small-end.json")
    return parser.parse_args()


def _plan(arguments: argparse.Namespace, sessions: int) -> SimulationPlan:
    people: CallerModel = HABITS[arguments.habit]
    card = next(card for card in CARDS if card.name == arguments.card)
    found = costs()
    match arguments.profile:
        case "laptop":
            return laptop(found, people)
        case "gpu":
            return gpu(found, people, card)
        case _:
            return cluster(found, people, size_for(found, people, arguments.fixed or sessions, card=card))


def _row(plan: SimulationPlan, sessions: int, seconds: float) -> list[str]:
    return cells(simulate(plan, sessions, seconds))


def cells(result: SimulationResult) -> list[str]:
    busiest = result.saturated
    return [
        str(result.people),
        in_ms(result.ttft),
        in_ms(result.ttfa) + ("" if result.steady else " and growing"),
        f"{result.stalled:.0%}",
        f"{busiest} {result.utilisation[busiest]:.0%}",
        str(result.answers),
    ]
