"""The table of docs/openai.md: what each field that OpenAI knows does here."""

import json
from typing import Final

from schemas.openai.parameter_support import Row
from schemas.openai.parameter_table import TABLE
from schemas.realtime.realtime_table import REALTIME_TABLE

_BEGIN: Final = "<!-- the table begins: python -m cluster.documents -->\n"
_END: Final = "<!-- the table ends -->\n"
_LONGEST: Final = 60


def table() -> str:
    """All of it, in Markdown."""
    lines: list[str] = []
    for endpoint, listed in (TABLE | REALTIME_TABLE).items():
        lines += [f"### {endpoint}", "", "| field | example | standing | |", "|---|---|---|---|"]
        lines += [_line(row) for row in listed]
        lines.append("")
    return "\n".join(lines)


def _line(row: Row) -> str:
    shown = json.dumps(row.value, ensure_ascii=False)
    shown = shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
    standing = row.standing if row.code is None else f"{row.standing}: `{row.code}`"
    return f"| `{row.field}` | `{shown}` | {standing} | {row.note} |".replace("@wav", "…")


def written(text: str) -> str:
    """The document with today's table in it."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{table()}\n{_END}{after}"
