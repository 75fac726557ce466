"""`rhapsode metrics`: what the log says about speed, worked out anew, and what was counted live."""

from dataclasses import asdict
from typing import Annotated, Any, Final

import typer

from cluster.cli.command_help import ConfigFile, Json, Url, running_at, show
from cluster.terminal.cli_errors import UsageError
from cluster.terminal.requests import ask, metrics_page

_PATIENCE_S: Final = 30.0

Session = Annotated[str | None, typer.Option(help="Only this session; the whole log otherwise.")]


def metrics(
    session: Session = None, config: ConfigFile = None, url: Url = None, as_json: Json = False
) -> None:
    """Work the metrics out from the log again. For the whole log, also say what the workers have counted.

    Both are equal but for sessions deleted since, events older than these metrics, and those of this moment.
    With --url and no session nothing is worked out: the log is not ours to read; what was counted is shown.

    Example: rhapsode metrics --session 0199a2b4-6c1e-7d1a-8f00-5b7a3c2d1e0f
    """
    import anyio

    from cluster.cli.recount import of_all

    if config is not None and (session or url):
        raise UsageError("--config says where the whole log is.", "Leave it out here.")
    if session:
        path = f"/v1/sessions/{session}/metrics"
        found = {"metrics": ask(running_at(url), "GET", path, patience_s=_PATIENCE_S)["metrics"]}
    elif url:
        found = {"metrics": _counted(running_at(url))}
    else:
        found = anyio.run(of_all, config)
    show(found, _lines(found), as_json=as_json)


def _counted(address: str) -> list[dict[str, Any]]:
    """Reads the workers' counters from the page that Prometheus reads."""
    from pipeline.observability import metric_names  # it knows every event, which takes 0.15 s

    page, found = metrics_page(address), list[dict[str, Any]]()
    for metric in metric_names.ALL:
        spread_out = metric.kind == "histogram"
        if metric.source != "log":
            continue
        for pairs, total in sorted(page.by_name(f"{metric.name}_sum" if spread_out else metric.name).items()):
            labels = dict(pairs)
            one: dict[str, Any] = {"name": metric.name, "labels": labels, "total": total}
            if spread_out:
                one |= asdict(page.spread(metric, **labels))
            if one.get("count", total):
                found.append(one)
    return found


def _lines(found: dict[str, Any]) -> list[str]:
    live = {_title(one): one for one in found.get("counted", ())}
    lines = []
    for one in found["metrics"]:
        title, value = _title(one), _value(one)
        counted = _value(live[title]) if title in live else "nothing"
        differs = "counted" in found and counted != value
        lines.append(f"{title:<72} {value}" + (f"   (the workers: {counted})" if differs else ""))
    if "equal" in found:
        same = "the workers have counted the same" if found["equal"] else "the workers have counted otherwise"
        lines.append(f"{found['sessions']} sessions; {same}.")
    return lines or ["Nothing was measured: no turn is over."]


def _title(one: dict[str, Any]) -> str:
    labels = ",".join(f"{name}={value}" for name, value in one["labels"].items())
    name = str(one["name"]).removeprefix("rhapsode_")
    return f"{name}{{{labels}}}" if labels else name


def _value(one: dict[str, Any]) -> str:
    if one.get("count") is None:
        return f"{one['total']:g}"
    return f"{one['count']} times, p50 {one['p50']:g}, p95 {one['p95']:g}, sum {one['total']:g}"
