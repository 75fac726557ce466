"""`python -m loadtests costs`: measure, print the table, and with --keep write docs/costs.json."""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from loadtests.capacity.costs import engine_costs as engines
from loadtests.capacity.costs import rest_costs, turn_costs
from loadtests.capacity.costs.turn_costs import derived
from loadtests.report.command_line import command_parser
from loadtests.report.tables import ROOT, about, markdown, say

_PARTS: Final = {
    "session": "a new session, with its socket",
    "turn": "a turn",
    "delta": "a text delta",
    "chunk": "a chunk of sound, with its share of the sentence's events",
    "listener_delta": "a delta told to one more listener",
    "microphone_s": "a second spoken into a microphone",
    "quiet_s": "a second of an open microphone in a silent room",
    "socket_s": "a second of an open, silent socket",
}
_ROLES: Final = {
    "gateway": "gateway",
    "language_model": "LanguageModel replica",
    "text_to_speech": "TextToSpeech replica",
    "speech_to_text": "SpeechToText replica",
    "workers": "workers",
    "log": "log server",
}


def tables(costs: Mapping[str, Any]) -> str:
    """Everything that is there."""
    parts = [f"{costs['machine']}; `python -m loadtests costs`, commit {costs['commit']}, {costs['busy']}.\n"]
    if "engines" in costs:
        parts.append(engines_table(costs["engines"]))
    if "around" in costs:
        parts += [around_table(costs["around"]), log_table(costs["around"])]
    if "rest" in costs:
        parts.append(rest_costs.table(costs["rest"]))
    return "\n".join(parts)


def engines_table(engines: Mapping[str, Any]) -> str:
    cpu = engines["llm_cpu_s_per_token"]
    rows = [
        [f"a token, {together} answers together", f"{1_000 * value:.1f} ms"]
        for together, value in cpu.items()
    ]
    rows.append(["from a new question to its first token", f"{1_000 * engines['llm_prefill_cpu_s']:.0f} ms"])
    rows.append(["a second of speech made", f"{1_000 * engines['tts_cpu_s_per_s']:.0f} ms"])
    rows.append(["… to a sentence's first sound", f"{1_000 * engines['tts_first_cpu_s']:.0f} ms"])
    rows.append(["a second of speech, encoded", f"{engines['tts_bytes_per_s']:.0f} bytes"])
    if "stt_cpu_s_per_s" in engines:
        rows.append(["a second of speech understood", f"{1_000 * engines['stt_cpu_s_per_s']:.0f} ms"])
        partial = engines["stt_partial_cpu_s_per_s"]
        rows.append(["… for a partial text", f"{1_000 * partial:.0f} ms"])
    return markdown(["engines of the laptop profile", "processor time"], rows)


def around_table(around: Mapping[str, Any]) -> str:
    rows = [
        [words, *(f"{1e6 * around[role][part]:.0f}" for role in _ROLES)]
        for part, words in _PARTS.items()
        if part in around["gateway"]  # older files have none of a session
    ]
    return markdown([f"processor time, µs; {around['hosted']}", *_ROLES.values()], rows)


def log_table(around: Mapping[str, Any]) -> str:
    sizes, calls = around["log_bytes"], around["log_calls"]
    rows = [
        ["a new session", f"{sizes['session']} bytes"],
        ["a text delta", f"{sizes['delta']:.0f} bytes"],
        ["what says where a chunk of sound belongs", f"{sizes['chunk_beside_sound']:.0f} bytes"],
        ["a gateway's memory, an open socket", f"{1_000 * around['gateway_mb_per_socket']:.0f} kB"],
        ["calls of the log in a spoken turn", _list(calls["spoken_turn"])],
        ["calls of the log by a silent socket, a second", _list(calls["socket_s"])],
        ["calls of the log by an idle system, a second", _list(calls["idle_s"])],
    ]
    return markdown(["what", "how much"], rows)


def _list(calls: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('|', ' ')} {many:g}" for name, many in calls.items()) or "none"


_KINDS: Final = ("engines", "around", "rest")
"""Parts that can be measured; the last one, a system that nobody uses, only where it is asked for."""
COSTS: Final = ROOT / "docs" / "costs.json"


def main() -> None:
    """Measure what each part of a turn costs here, in processor time."""
    arguments = _arguments()
    if arguments.engines_only:
        print(json.dumps(asyncio.run(engines.measure(arguments.cache))))
        return
    found = _before(arguments)
    if "engines" in arguments.parts:
        found["engines"] = _engines(arguments)
    if "around" in arguments.parts:
        with tempfile.TemporaryDirectory(prefix="rhapsode-costs-") as folder:
            steps = turn_costs.measure(Path(folder), arguments.cache, say)
            found["around"] = derived(steps) | {"hosted": "Ray Serve, two gateways"}
    if "rest" in arguments.parts:
        with tempfile.TemporaryDirectory(prefix="rhapsode-rest-") as folder:
            found["rest"] = rest_costs.measure(Path(folder), arguments.cache, say)
    found |= about()
    found["busy"] = f"load average {os.getloadavg()[1]:.0f} on {os.cpu_count()} cores"
    print(tables(found))
    if arguments.keep:
        COSTS.write_text(json.dumps(found, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = command_parser("python -m loadtests costs", main.__doc__, "--cache")
    parser.add_argument("--parts", nargs="+", choices=_KINDS, default=_KINDS[:2])
    parser.add_argument("--repeats", type=int, default=3, help="of the engines; medians count (default 3)")
    parser.add_argument("--keep", action="store_true", help="write docs/costs.json; other parts stay in it")
    parser.add_argument("--engines-only", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _before(arguments: argparse.Namespace) -> dict[str, Any]:
    """Figures that were kept, where only a part is measured anew."""
    return json.loads(COSTS.read_text()) if len(arguments.parts) < 2 and COSTS.exists() else {}


def _engines(arguments: argparse.Namespace) -> dict[str, Any]:
    """Each repeat in a process of its own, so that its processor time is that of the engines."""
    rows: list[Mapping[str, Any]] = []
    for number in range(arguments.repeats):
        say(f"engines, {number + 1} of {arguments.repeats}")
        command = [sys.executable, "-m", "loadtests", "costs", "--engines-only"]
        command += ["--cache", str(arguments.cache)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    return medians(rows)


def medians(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of each figure, and of each figure of its tables."""
    return {
        name: medians([row[name] for row in rows])
        if isinstance(rows[0][name], dict)
        else median(row[name] for row in rows)
        for name in rows[0]
    }
