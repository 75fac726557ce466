"""`python -m loadtests COMMAND`: every measurement, each with its own --help."""

import os
import signal
import sys
from importlib import import_module
from typing import Final

COMMANDS: Final = {
    "bench": "bench.bench_command:bench_main",
    "bench-check": "bench.bench_command:check_main",
    "bench-distance": "bench.turns.distance_bench:main",
    "bench-echo": "bench.turns.echo_bench:main",
    "bench-faces": "bench.rows.face_latency:main",
    "bench-reading": "bench.voice.reading_bench:main",
    "bench-speed": "bench.voice.speed_bench:main",
    "bench-tracing": "bench.rows.tracing_cost:main",
    "bench-turns": "bench.turns.turns_bench:main",
    "bench-voice": "bench.voice.voice_command:main",
    "chaos": "chaos.chaos_command:main",
    "chaos-nodes": "chaos.nodes_command:main",
    "chaos-redis": "chaos.redis_command:main",
    "costs": "capacity.costs.cost_command:main",
    "dashboard": "runner.dashboard_command:main",
    "gpu": "capacity.gpu.gpu_command:main",
    "load": "runner.load_command:load_main",
    "load-curve": "runner.curve_command:curve_main",
    "race": "peers.race_command:main",
    "retrieval": "bench.retrieval.retrieval_bench:main",
    "simulator": "capacity.simulator.scaling_page:main",
}
"""Each command with its module and function; only that module is imported."""


def main() -> int | None:
    """Run the command and return its exit status."""
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(f"python -m loadtests COMMAND; there are: {', '.join(COMMANDS)}")
    module, _, function = COMMANDS[sys.argv.pop(1)].partition(":")
    # Before any engine is imported: idle OpenMP threads must sleep, as in the replicas.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # A measurement that is stopped reports what is known until then, and stops its servers.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    status: int | None = getattr(import_module(f"loadtests.{module}"), function)()
    return status


if __name__ == "__main__":
    sys.exit(main())
