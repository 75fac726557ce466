"""From rows to tables, and to the number of sessions that a machine carries. Pure arithmetic."""

import argparse
from collections.abc import Sequence

from loadtests.gpu.rows import Row
from loadtests.voice.report import markdown, pair

_STEPS = {
    "words": "answers as text",
    "voice": "texts read aloud",
    "whole": "answers heard to their end",
    "ears": "recordings written down",
    "calls": "voice to voice",
}
_HEADINGS = [
    "what",
    "sessions",
    "first words",
    "first sound",
    "all together, a second",
    "fell silent",
    "failed",
    "",
]


def report(rows: Sequence[Row], arguments: argparse.Namespace) -> str:
    """Milliseconds, p50 / p95."""
    table = markdown(_HEADINGS, map(_cells, rows))
    engines = (
        f"at {arguments.url}"
        if arguments.url
        else f"{arguments.engine} ({arguments.model or 'packaged'}), {arguments.voice}, {arguments.ear}"
        f" ({arguments.ear_model or 'packaged'})"
    )
    random = "random:" in f"{arguments.model} {arguments.ear_model}"
    said = (
        " Weights are random: speed and memory are those of the shape, words are made up." if random else ""
    )
    return (
        f"Engines: {engines}.{said} Answers of at most {arguments.tokens} tokens, {arguments.turns} each. "
        f"Milliseconds, p50 / p95.\n\n{table}\n{carried(rows, arguments.target_ms)}\n"
    )


def _cells(row: Row) -> list[str]:
    return [
        _STEPS[row.step],
        str(row.sessions),
        pair(row.ttft),
        pair(row.first_sound),
        f"{row.per_s:.1f} {row.unit}" if row.per_s is not None else "-",
        f"{row.stalled:.0%}" if row.stalled is not None else "-",
        str(len(row.failures)) if row.failures else "-",
        row.note or (row.failures[0] if row.failures else ""),
    ]


def carried(rows: Sequence[Row], target_ms: float) -> str:
    """The most sessions that kept the target, with all smaller ones."""
    lines = []
    for step in ("whole", "calls"):
        best = 0
        for row in sorted((row for row in rows if row.step == step), key=lambda row: row.sessions):
            if not row.keeps(target_ms):
                break
            best = row.sessions
        if any(row.step == step for row in rows):
            most = f"{best} of those tried" if best else "none of those tried"
            lines.append(
                f"{_STEPS[step]}: first sound within {target_ms:.0f} ms at p95, without silences: {most}"
            )
    return "Sessions carried. " + "; ".join(lines) + "."
