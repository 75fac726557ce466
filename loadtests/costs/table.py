"""The figures of docs/costs.json as tables."""

from collections.abc import Mapping
from typing import Any, Final

from loadtests.voice.report import markdown

_PARTS: Final = {
    "turn": "a turn",
    "delta": "a text delta",
    "chunk": "a chunk of sound, with its share of the sentence's facts",
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
    parts = [f"{costs['machine']}; `python -m loadtests.costs`, commit {costs['commit']}, {costs['busy']}.\n"]
    if "engines" in costs:
        parts.append(engines_table(costs["engines"]))
    if "around" in costs:
        parts += [around_table(costs["around"]), log_table(costs["around"])]
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
        [words, *(f"{1e6 * around[role][part]:.0f}" for role in _ROLES)] for part, words in _PARTS.items()
    ]
    return markdown([f"processor time, µs; {around['hosted']}", *_ROLES.values()], rows)


def log_table(around: Mapping[str, Any]) -> str:
    sizes, calls = around["log_bytes"], around["log_calls"]
    rows = [
        ["a new session", f"{sizes['session']} bytes"],
        ["a text delta", f"{sizes['delta']:.0f} bytes"],
        [
            "what says where a chunk of sound belongs",
            f"{sizes['chunk_beside_sound']:.0f} bytes",
        ],
        ["a gateway's memory, an open socket", f"{1_000 * around['gateway_mb_per_socket']:.0f} kB"],
        ["calls of the log in a spoken turn", _list(calls["spoken_turn"])],
        ["calls of the log by a silent socket, a second", _list(calls["socket_s"])],
        ["calls of the log by an idle system, a second", _list(calls["idle_s"])],
    ]
    return markdown(["what", "how much"], rows)


def _list(calls: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('|', ' ')} {many:g}" for name, many in calls.items()) or "none"
