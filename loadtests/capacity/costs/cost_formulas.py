"""From what whole loads used to what one turn, word, second or listener takes. Pure arithmetic."""

from collections.abc import Mapping
from typing import Any, Final

from loadtests.capacity.costs.turn_costs import CostStep, CostSteps
from loadtests.report.tables import percentile

ROLES: Final = {
    "gateway": "Gateway",
    "language_model": "LanguageModel",
    "text_to_speech": "TextToSpeech",
    "speech_to_text": "SpeechToText",
    "workers": "Workers",
    "log": "Log server",
}
_UNHEARD: Final = frozenset({"ping", "info", "client|setinfo", "memory|usage", "hello", "hget"})
"""Commands that are the measurement's own."""


def derived(steps: CostSteps) -> dict[str, Any]:
    """Processor seconds by role and part; and calls, bytes and memory."""
    found: dict[str, Any] = {name: _costs(steps, role) for name, role in ROLES.items()}
    found["log_calls"] = _calls(steps)
    found["log_bytes"] = _bytes(steps)
    found["gateway_mb_per_socket"] = round(steps.sockets.used.rss_mb["Gateway"] / steps.sockets.units, 4)
    alone = steps.alone.heard
    assert alone is not None
    found["first_words_s"] = round(
        percentile([answer.ttft_ms or 0.0 for answer in alone.answers], 0.5) / 1_000, 4
    )
    return found


def _costs(steps: CostSteps, role: str) -> dict[str, float]:
    idle = _spent(steps.idle, role) / steps.idle.used.at_s

    def net(step: CostStep) -> float:
        return max(0.0, _spent(step, role) - idle * step.used.at_s)

    short, long, spoken = (net(step) / step.units for step in (steps.short, steps.long, steps.spoken))
    few, many, told = (_events(step, "text.delta") for step in (steps.short, steps.long, steps.spoken))
    delta = max(0.0, (long - short) / (many - few))
    turn = max(0.0, short - few * delta)
    chunks = _events(steps.spoken, "audio.chunk")
    others = steps.listeners.units - many
    values = {
        "turn": turn,
        "delta": delta,
        "chunk": max(0.0, spoken - turn - told * delta) / chunks,
        "listener_delta": max(0.0, net(steps.listeners) - turn - many * delta) / others,
        "socket_s": net(steps.sockets) / steps.sockets.used.at_s / steps.sockets.units,
        "quiet_s": net(steps.quiet) / steps.quiet.units,
        "microphone_s": net(steps.microphones) / steps.microphones.units if steps.microphones else 0.0,
    }
    return {part: round(value, 7) for part, value in values.items()}


def _spent(step: CostStep, role: str) -> float:
    return step.used.log_cpu_s if role == "Log server" else step.used.cpu_s.get(role, 0.0)


def _events(step: CostStep, kind: str) -> float:
    """Of one answer."""
    assert step.heard is not None
    return step.heard.events()[kind] / step.units


def _calls(steps: CostSteps) -> dict[str, dict[str, float]]:
    """How often the log server is asked: by a spoken turn, a socket at rest, and an idle system."""
    seconds = steps.idle.used.at_s

    def of(step: CostStep, by: float) -> Mapping[str, float]:
        idle = steps.idle.used.log_calls
        rates = {
            name: (calls - idle.get(name, 0) / seconds * step.used.at_s) / by
            for name, calls in step.used.log_calls.items()
            if name not in _UNHEARD
        }
        return {name: round(rate, 3) for name, rate in sorted(rates.items()) if rate >= 0.005}

    return {
        "spoken_turn": dict(of(steps.spoken, steps.spoken.units)),
        "socket_s": dict(of(steps.sockets, steps.sockets.units * steps.sockets.used.at_s)),
        "idle_s": {
            name: round(calls / seconds, 3)
            for name, calls in sorted(steps.idle.used.log_calls.items())
            if calls / seconds >= 0.1 and name not in _UNHEARD
        },
    }


def _bytes(steps: CostSteps) -> dict[str, float]:
    silent, spoken = steps.bytes_silent, steps.bytes_spoken
    delta = silent["turn_facts"] / silent["facts"]
    told, chunks = (_events(steps.spoken, kind) for kind in ("text.delta", "audio.chunk"))
    return {
        "session": round(silent["session"]),
        "delta": round(delta, 1),
        "chunk_beside_sound": round((spoken["turn_facts"] - told * delta) / chunks, 1),
    }
