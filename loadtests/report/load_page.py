"""The report as one page that needs nothing else: no script, no font, no request. Pure."""

from html import escape
from typing import Final

from loadtests.client import oracles
from loadtests.client.caller_record import SERIES
from loadtests.report.load_result import CallerCounts, LoadResult, ProcessSeen
from loadtests.report.svg_charts import STYLE, ChartLine, figure, histogram, lines, milliseconds, plain, table
from loadtests.report.system_charts import costs, growth
from loadtests.runner.process_killer import PARTS

_NAMES: Final = {
    "open": "Opening a session and connecting",
    "ttft": "Time to first text",
    "ttfa": "Time to first audio",
    "v2v": "Voice to voice",
    "whole": "The whole answer",
    "resume": "Coming back",
    "held": "Silent when spoken over",
    "flushed": "Given up when spoken over",
}


def page(result: LoadResult) -> str:
    """HTML."""
    parts = [
        _head(result),
        _tiles(result),
        _requirements(result),
        _latencies(result),
        _timelines(result),
        costs(result.system),
        growth(result.system),
        _scenarios(result),
        _faults(result),
        _client(result),
    ]
    title = f"Load: {result.scenario}, {result.arrivals}"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style><main>{''.join(parts)}</main></html>\n"
    )


def _head(result: LoadResult) -> str:
    broken = [one for one in result.requirements if not one.kept]
    verdict, style = (f"{len(broken)} requirement(s) not kept", "bad") if broken else ("all kept", "good")
    where = "a system of its own, scripted engines" if result.own_system else result.url
    notes = "".join(f'<p class="warn">{escape(note)}</p>' for note in result.notes)
    return (
        f"<h1>Load: {escape(result.scenario)}, {escape(result.arrivals)}</h1>"
        f'<p><span class="verdict {style}">{verdict}</span></p>'
        f'<p class="soft">{escape(where)} · {escape(result.when)} · {result.seconds:.0f} s · '
        f"seed {result.seed} · commit {escape(result.commit)}<br>client on {escape(result.machine)}</p>"
        f"<p><code>{escape(result.command)}</code></p>{notes}"
    )


def _tiles(result: LoadResult) -> str:
    people, judged = result.people, result.judgement
    faults = sum(judged.counts[kind] for kind in oracles.NEVER)
    share = f"{judged.answers_with_gaps / judged.answers:.1%}" if judged.answers else "–"
    tiles = [
        (f"{people.planned}", f"people came, {people.most_at_once} at once", ""),
        (f"{people.refused}", "refused politely", "warn" if people.refused else ""),
        (f"{people.failed}", "failed", "bad" if people.failed else "good"),
        *_latency_tiles(result),
        (share, "of the answers had a gap", "warn" if judged.answers_with_gaps else "good"),
        (f"{faults}", "lost, doubled, cut or mixed up", "bad" if faults else "good"),
    ]
    if people.lost_with_process:
        tiles.insert(3, (f"{people.lost_with_process}", "lost with a process of this client", "bad"))
    if people.unfinished or people.refused_by_us:
        words = f"unfinished; {people.refused_by_us} this client had no room for"
        tiles.insert(3, (f"{people.unfinished}", words, "warn"))
    drawn = "".join(
        f'<div class="tile"><b class="{style}">{value}</b><span>{words}</span></div>'
        for value, words, style in tiles
    )
    return f'<div class="tiles">{drawn}</div>'


def _latency_tiles(result: LoadResult) -> list[tuple[str, str, str]]:
    return [
        (milliseconds(found.p50), f"{words}, median; p95 {milliseconds(found.p95)}", "")
        for name, words in (("ttfa", "to first audio"), ("v2v", "voice to voice"))
        if (found := result.latencies.get(name)) is not None
    ]


def _requirements(result: LoadResult) -> str:
    rows = [
        [
            f'<span class="{"good" if one.kept else "bad"}">{"kept" if one.kept else "NOT KEPT"}</span>',
            f"<code>{escape(one.wish)}</code>",
            "no figures" if one.value is None else f"{one.value:g}",
        ]
        for one in sorted(result.requirements, key=lambda one: one.kept)
    ]
    return "<h2>What was required</h2>" + table(["", "requirement", "found"], rows, numbers={2})


def _latencies(result: LoadResult) -> str:
    drawn = "".join(
        figure(
            _NAMES[name],
            f"{SERIES[name]}; n = {found.n}",
            histogram(_NAMES[name], found),
            f"p50 <b>{milliseconds(found.p50)}</b> · p95 <b>{milliseconds(found.p95)}</b> · "
            f"p99 {milliseconds(found.p99)} · most {milliseconds(found.most)}",
        )
        for name in ("ttfa", "v2v", "ttft", "whole", "open", "resume", "held", "flushed")
        if (found := result.latencies.get(name)) is not None
    )
    return f'<h2>How long people waited</h2><div class="charts">{drawn}</div>' if drawn else ""


def _timelines(result: LoadResult) -> str:
    at_s = [moment.at_s for moment in result.timeline]
    moments = result.timeline
    kills = [(kill.at_s, f"{kill.at_s:.0f} s: {PARTS[kill.part]} killed") for kill in result.system.kills]
    audio = [
        ChartLine("p50", "one", [moment.ttfa_p50_ms for moment in moments]),
        ChartLine("p95", "two", [moment.ttfa_p95_ms for moment in moments]),
    ]
    gone = [
        ChartLine("refused", "warn", [float(moment.refused) for moment in moments]),
        ChartLine("failed", "bad", [float(moment.failed) for moment in moments]),
    ]
    step = f"{at_s[1] - at_s[0]:.3g} s" if len(at_s) > 1 else "run"
    people = [ChartLine("people", "one", [moment.people for moment in moments], filled=True)]
    came = [ChartLine("came", "one", [float(moment.came) for moment in moments], filled=True)]
    drawn = [
        figure(
            "People at once", "who were inside", lines("People at once", at_s, people, plain, moments=kills)
        ),
        figure(
            "Who came",
            f"per {step}, as planned beforehand",
            lines("Who came", at_s, came, plain, moments=kills),
        ),
        figure(
            "To first sound",
            "typed and spoken questions, by when the wait began",
            lines("Time to first audio over time", at_s, audio, milliseconds, moments=kills),
        ),
        figure(
            "Turned away",
            f"per {step}, when they left",
            lines("Refused and failed", at_s, gone, plain, moments=kills),
        ),
    ]
    return f'<h2>As it went</h2><div class="charts">{"".join(drawn)}</div>'


def _scenarios(result: LoadResult) -> str:
    def row(name: str, people: CallerCounts) -> list[str]:
        gone = people.unfinished + people.lost_with_process
        counted = (
            people.planned,
            people.fine,
            people.refused,
            people.failed,
            gone,
            people.moved,
            people.broken,
        )
        codes = ", ".join(f"{escape(code)} {count}" for code, count in people.codes.items())
        return [escape(name), *map(str, counted), str(people.most_at_once), codes]

    rows = [row(name, people) for name, people in result.by_scenario.items()]
    heads = ["what they did", "came", "fine", "refused", "failed", "unfinished", "moved", "broken"]
    heads += ["at once", "codes"]
    failed = [
        [str(one.person), escape(one.scenario), f"{one.at_s:g} s", escape(one.code), escape(one.words)]
        for one in result.failures
    ]
    why = table(["person", "did", "at", "code", "what"], failed, numbers={0, 2}) if failed else ""
    told = result.people.retry_after_s
    told_words = (
        f"<p class=soft>The refused were told to come back after {told:g} s, on average.</p>" if told else ""
    )
    return f"<h2>What became of them</h2>{table(heads, rows, numbers=set(range(1, 9)))}{why}{told_words}"


def _faults(result: LoadResult) -> str:
    judged = result.judgement
    rows = [
        [f"<code>{kind}</code>", escape(words), f'<span class="{"bad" if count else "good"}">{count}</span>']
        for kind, words in oracles.KINDS.items()
        for count in [judged.counts[kind]]
    ]
    looked = (
        f"{judged.listeners} listeners, {judged.events} events and {judged.answers} answers were judged; "
        f"{judged.compared_with_log} sessions were read again from the log and compared."
    )
    examples = [
        [
            f"<code>{one.kind}</code>",
            str(one.person),
            escape(one.scenario),
            escape(one.words),
            f"<code>{one.session}</code>",
        ]
        for one in judged.examples
    ]
    shown = table(["fault", "person", "did", "what", "session"], examples, numbers={1}) if examples else ""
    counted = table(["fault", "", "times"], rows, numbers={2})
    told = [[f"<code>{escape(what)}</code>", str(times)] for what, times in judged.given_up.items()]
    given_up = table(["the system said that it could not", "times"], told, numbers={1}) if told else ""
    return f'<h2>Was it right?</h2><p class="soft">{looked}</p>{counted}{shown}{given_up}'


def _client(result: LoadResult) -> str:
    client = result.client
    words = (
        f"Its own clock ran {client.late_p99_ms:.1f} ms late (p99; most {client.late_most_ms:.0f} ms), "
        f"people began {client.starts_late_p99_ms:.1f} ms late (p99). It took {client.cpu_s:.1f} s of "
        f"processor time for {client.frames} frames, {client.megabytes:.1f} MB."
    )
    verdict = (
        '<p class="warn">That is late enough to be seen in the figures above.</p>' if client.late else ""
    )
    rows = [
        [str(number), *_process(one), escape(one.died)]
        for number, one in enumerate(client.processes, start=1)
    ]
    heads = ["process", "people", "late p99", "late most", "began late p99", "processor time", ""]
    each = table(heads, rows, numbers={0, 1, 2, 3, 4, 5}) if rows else ""
    return f'<h2>This client</h2><p class="soft">{words}</p>{verdict}{each}'


def _process(seen: ProcessSeen) -> list[str]:
    late = (seen.late_p99_ms, seen.late_most_ms, seen.starts_late_p99_ms)
    return [str(seen.people), *map(milliseconds, late), f"{seen.cpu_s:.1f} s"]
