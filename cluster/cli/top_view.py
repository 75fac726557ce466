"""Layout of `rhapsode top` on a screen of any size."""

from collections.abc import Iterable, Mapping
from typing import Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cluster.cli.top_figures import Figures
from cluster.terminal.metric_readings import Spread

_WIDE: Final = 100
"""Columns from which two panels stand side by side."""
_SLOW_S: Final = 0.8
"""Of the first audio, at the 95th percentile: what the budget allows."""
_NOTHING: Final = "·"


class Screen:
    """One moment, drawn to the width that there is."""

    def __init__(self, found: Figures, url: str, failure: str = "") -> None:
        self._found = found
        self._url = url
        self._failure = failure

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        found = self._found
        left = Group(_panel("Stages", self._stages()), _panel("Turns", _pairs(found.turns)))
        right = Group(
            _panel("Sessions", _pairs(found.sessions)),
            _panel("Replicas", self._replicas()),
            _panel("Log server", self._log()),
            _panel("Workers", _pairs(found.workers)),
        )
        below = [_panel("Processes", self._processes())]
        if found.errors:
            below.append(_panel("Errors", _pairs(found.errors, style="red")))
        yield self._title()
        if options.max_width >= _WIDE:
            both = Table.grid(expand=True)
            both.add_column(ratio=3)
            both.add_column(ratio=2)
            both.add_row(left, right)
            yield both
        else:
            yield left
            yield right
        yield from below

    def _title(self) -> Text:
        span = f"the last {self._found.seconds:.0f} s" if self._found.seconds else "everything so far"
        title = Text.assemble(
            ("rhapsode top", "bold"), f"  {self._url}  ", (span, "dim"), ("  q quits", "dim")
        )
        if self._failure:
            title.append(f"  {self._failure}", "bold red")
        title.no_wrap, title.overflow = True, "ellipsis"
        return title

    def _stages(self) -> Table:
        table = _table("", "times", "p50", "p95")
        for title, spread in self._found.stages.items():
            slow = title == "first audio" and (spread.p95 or 0) > _SLOW_S
            style = "dim" if not spread.count else "bold red" if slow else ""
            table.add_row(title, *_spread(spread), style=style)
        return table

    def _replicas(self) -> RenderableType:
        if not self._found.replicas:
            return Text("Serve was not asked: nothing runs on Ray here.", "dim")
        table = _table("", "running", "others")
        for deployment, states in self._found.replicas.items():
            running = states.get("running", 0)
            others = ", ".join(
                f"{count:.0f} {state}" for state, count in states.items() if state != "running" and count
            )
            table.add_row(
                deployment, f"{running:.0f}", others or _NOTHING, style="" if running else "bold red"
            )
        return table

    def _log(self) -> RenderableType:
        log = self._found.log
        if not log.get("up"):
            return Text("It does not answer.", "bold red")
        limit = f" of {log['limit_mb']:.0f}" if log.get("limit_mb") else ""
        words = [f"{log.get('memory_mb', 0):.1f}{limit} MB", f"answers in {log.get('answer_ms', 0):.1f} ms"]
        if "commands_per_s" in log:
            words.append(f"{log['commands_per_s']:.0f} commands/s")
        return Text("  ".join(words))

    def _processes(self) -> Table:
        table = _table("", "memory", "owns", "runs", "outbox", "late p95")
        for process, row in self._found.processes.items():
            late = f"{row['late_ms']:.1f} ms" if "late_ms" in row else _NOTHING
            cells = (
                f"{row[name]:.0f}" if name in row else _NOTHING for name in ("owned", "running", "outbox")
            )
            table.add_row(process, f"{row['memory_mb']:.0f} MB", *cells, late)
        return table


def _panel(title: str, content: RenderableType) -> Panel:
    return Panel(content, title=title, title_align="left", border_style="dim", padding=(0, 1))


def _table(*columns: str) -> Table:
    table = Table(box=None, expand=True, pad_edge=False, header_style="dim")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True, overflow="ellipsis")
    return table


def _pairs(values: Mapping[str, float], style: str = "") -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    rows: Iterable[tuple[str, str]] = (
        (name.replace("_", " "), f"{value:,.1f}".removesuffix(".0")) for name, value in values.items()
    )
    for name, value in rows:
        table.add_row(name, Text(value, justify="right", style=style))
    return table


def _spread(found: Spread) -> tuple[str, str, str]:
    return (f"{found.count:,}" if found.count else _NOTHING, _time(found.p50), _time(found.p95))


def _time(seconds: float | None) -> str:
    if seconds is None:
        return _NOTHING
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1_000:.{1 if seconds < 0.1 else 0}f} ms"
