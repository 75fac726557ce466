"""`python -m loadtests simulator`: the tables of docs/scaling.md, and the small end that they are held to."""

import sys

from loadtests.capacity.simulator import scaling_page, small_end
from loadtests.report.command_line import command_parser, numbers
from loadtests.report.run_info import say


def main() -> None:
    """Look after the tables of docs/scaling.md, or measure the small end."""
    parser = command_parser("python -m loadtests simulator", main.__doc__, "--cache")
    add = parser.add_argument
    add("--write", action="store_true", help="put the tables into docs/scaling.md")
    add("--check", action="store_true", help="fail if the tables of docs/scaling.md are others")
    add("--measure", nargs="+", choices=("scripted", "real"), help="the small end, on this machine")
    add("--sessions", type=numbers, default=[1, 2, 4, 8, 16], metavar="N,N", help="default 1,2,4,8,16")
    add("--keep", action="store_true", help="with --measure: write docs/small-end.json")
    arguments = parser.parse_args()
    if not (arguments.measure or arguments.write or arguments.check):
        parser.error("say --write, --check or --measure")
    if arguments.measure:
        for row in small_end.measure(arguments.measure, arguments.sessions, arguments.cache, say):
            print(row, flush=True)
            if arguments.keep:
                small_end.keep([row])
    if arguments.write or arguments.check:
        stale = scaling_page.update(check=arguments.check)
        if stale and arguments.check:
            sys.exit(f"docs/scaling.md is not what the model says: {', '.join(stale)}. Run --write.")
