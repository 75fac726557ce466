"""The load report as one page that needs nothing else: no script, no font, no request. Pure."""

from typing import Final

from loadtests.client import oracles
from loadtests.client.caller_record import SERIES
from loadtests.report.load_result import PARTS, LoadResult
from loadtests.report.svg_charts import ChartLine, Figure, histogram, lines, milliseconds, plain, rendered
from loadtests.report.system_charts import cost_values, growth_values

_NAMES: Final = {
    "ttfa": "Time to first audio",
    "v2v": "Voice to voice",
    "ttft": "Time to first text",
    "whole": "The whole answer",
    "open": "Opening a session and connecting",
    "resume": "Coming back",
    "held": "Silent when spoken over",
    "flushed": "Given up when spoken over",
}


def page(result: LoadResult) -> str:
    """HTML."""
    latencies = [
        (title, SERIES[name], found, histogram(title, found))
        for name, title in _NAMES.items()
        if (found := result.latencies.get(name)) is not None
    ]
    return rendered(
        "load.html",
        result=result,
        kinds=oracles.KINDS,
        tiles=_tiles(result),
        latencies=latencies,
        timelines=_timelines(result),
        **(cost_values(result.system) | growth_values(result.system)),
    )


def _tiles(result: LoadResult) -> list[tuple[str, str, str]]:
    """Value, caption, style."""
    callers, judged = result.people, result.judgement
    faults = sum(judged.counts[kind] for kind in oracles.NEVER)
    share = f"{judged.answers_with_gaps / judged.answers:.1%}" if judged.answers else "–"
    latencies = [
        (milliseconds(found.p50), f"{words}, median; p95 {milliseconds(found.p95)}", "")
        for name, words in (("ttfa", "to first audio"), ("v2v", "voice to voice"))
        if (found := result.latencies.get(name)) is not None
    ]
    missing = []
    if callers.unfinished or callers.refused_by_us:
        words = f"unfinished; {callers.refused_by_us} this client had no room for"
        missing.append((f"{callers.unfinished}", words, "warn"))
    if callers.lost_with_process:
        missing.append((f"{callers.lost_with_process}", "lost with a process of this client", "bad"))
    return [
        (f"{callers.planned}", f"callers came, {callers.most_at_once} at once", ""),
        (f"{callers.refused}", "refused politely", "warn" if callers.refused else ""),
        (f"{callers.failed}", "failed", "bad" if callers.failed else "good"),
        *missing,
        *latencies,
        (share, "of the answers had a gap", "warn" if judged.answers_with_gaps else "good"),
        (f"{faults}", "lost, doubled, cut or mixed up", "bad" if faults else "good"),
    ]


def _timelines(result: LoadResult) -> list[Figure]:
    moments = result.timeline
    at_s = [moment.at_s for moment in moments]
    kills = [(kill.at_s, f"{kill.at_s:.0f} s: {PARTS[kill.part]} killed") for kill in result.system.kills]
    step = f"{at_s[1] - at_s[0]:.3g} s" if len(at_s) > 1 else "run"
    callers = [ChartLine("callers", "one", [moment.people for moment in moments], filled=True)]
    came = [ChartLine("came", "one", [float(moment.came) for moment in moments], filled=True)]
    audio = [
        ChartLine("p50", "one", [moment.ttfa_p50_ms for moment in moments]),
        ChartLine("p95", "two", [moment.ttfa_p95_ms for moment in moments]),
    ]
    gone = [
        ChartLine("refused", "warn", [float(moment.refused) for moment in moments]),
        ChartLine("failed", "bad", [float(moment.failed) for moment in moments]),
    ]
    return [
        (title, words, lines(title, at_s, drawn, shown, moments=kills))
        for title, words, drawn, shown in (
            ("Callers at once", "inside the system", callers, plain),
            ("Arrivals", f"per {step}, as planned beforehand", came, plain),
            (
                "Time to first audio",
                "typed and spoken questions, by when the wait began",
                audio,
                milliseconds,
            ),
            ("Turned away", f"per {step}, when they left", gone, plain),
        )
    ]
