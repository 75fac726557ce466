"""docs/metrics.md: every metric with what it means, written from the pinned names."""

from collections.abc import Iterator
from typing import Final

from pipeline.observability.metric_names import ALL, Metric, Source

_HEAD: Final = """# Metrics

Written by `make schemas` from `pipeline/observability/metric_names.py`; `make check`
compares.

`GET /metrics` is for Prometheus, and for administrators where keys are asked for. **Scrape one address,
not every gateway**: whichever gateway is asked tells the numbers of all processes, which it has from the
log server. Two targets for one system would count everything twice. `cluster/observability` has a scrape
configuration, a Grafana dashboard and alert rules, each with a section in [runbooks.md](runbooks.md). An
alert's `runbook_url` begins with the external label `runbooks` of Prometheus: set it to the address at which
your people read that page (`global.external_labels` in `prometheus.yml`; with Prometheus' operator
`spec.externalLabels`).
Ray's own metrics (its endpoint on every node) stand beside these.

Times are in seconds. Quantiles come from histograms, so they are as fine as the buckets: those of times
resolve 5 ms to 10 s.

![The dashboard](dashboard.png)

The picture was drawn by `make dashboard` from `cluster/observability/dashboards/rhapsode.json` and what a
real Prometheus had read of a running system with scripted engines, without Ray, on a machine that was
busy with other things: no measurement. It shows the panels and their data; it is not Grafana's own
rendering.

`rhapsode top` shows the same in a terminal, from one request a second: sessions, stages with the latencies
of the last minute, replicas (15 s old at most), the log server, workers and processes. `--once` shows it
once (with `--over 10`: what happened within ten seconds), `--json` is for scripts, q quits.

![rhapsode top](top.svg)

**From the log** are numbers that the events themselves hold. Workers work them out when a turn ends and
count them together with their acknowledgement, so that a takeover, a dead worker or a second try counts
nothing twice. `rhapsode metrics` works them out again from the whole log and compares (of a system
elsewhere, `--url ADDRESS`, it shows what was counted); `rhapsode metrics --session ID` and
`GET /v1/sessions/{id}/metrics` do so for one session. A turn is counted at its end, a listener's report
when it says that it is through (`playback.ack` with `ended`). Copies (forks, imports) count nothing that
happened elsewhere. Where a session is deleted, what it added stays.

**Of a process** and **of the server** are numbers that no event holds: they begin anew with the process,
and are gone with it. A process tells its own every five seconds; who has told nothing for twenty is not
on the page. Engine replicas tell theirs to Ray only. Without the log server the page still comes, within
three seconds, with `rhapsode_log_up 0` and the own process.

The label `process` names one run of one process, so each start of a gateway or a worker brings new series:
some 66 of a gateway. The page holds those of running processes only, and a process that ends takes its
series back; Prometheus keeps the old ones for its retention time, as it does with pods. A gateway that was
started a hundred times leaves about 6,600 ended series, some MB of Prometheus' memory until its next block.
Sum over `process` in what you record for long.

Counters and histograms **from the log** whose labels are known beforehand (outcomes, kinds, the codes of
engines) are on the page with 0 before anything has happened, so that alerts see the first burst. A code
that is not foreseen appears with its first error; alerts on rises see it from the second burst on.
"""
_TITLES: Final[dict[Source, str]] = {
    "log": "From the log",
    "process": "Of a process",
    "server": "Of the server",
}


def document() -> str:
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _HEAD.rstrip()
    for source, title in _TITLES.items():
        yield f"\n## {title}\n"
        yield "| name | kind | labels | meaning |\n|---|---|---|---|"
        for metric in ALL:
            if metric.source == source:
                labels = ", ".join(f"`{label}`" for label in metric.labels)
                yield f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |"
    yield "\n## Buckets\n"
    for buckets in dict.fromkeys(metric.buckets for metric in ALL if metric.buckets):
        bounds = ", ".join(f"{bound:g}" for bound in buckets)
        yield f"* {', '.join(_short(metric) for metric in ALL if metric.buckets == buckets)}: {bounds}"


def _short(metric: Metric) -> str:
    return f"`{metric.name.removeprefix('rhapsode_')}`"
