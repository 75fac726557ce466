"""The report of `rhapsode compare`, as Markdown. Pure."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final

from schemas.native.comparison_answers import ComparisonReport, InputComparison, UtteranceComparison, WayTotal

HOW: Final = """\
Both ways wrote the same stored sound down again, by the code that listens to live callers: the end of each
utterance is found and the realtime way listens along, with partial texts and texts made ahead, on a clock
that is the sound's own. That clock stands still while an engine works and then goes on by as much as the
engine took, so a report needs no more time than the engines do, and its figures are those of one caller
alone on this machine. **Text after** is from the last voiced sound to the text: for the realtime way what
is left of decoding when the end is clear; for the quality way, which has no earlier text to judge by, the
whole silence that is waited for, and then decoding. **Cost** is the engines' processor time, partial texts
included. Utterances end where the realtime way ends them. **Errors** are words changed, left out or put in,
over the whole input, after case, punctuation, numbers and spellings are made the same; utterances that a
way could not write down (**failed**) count as left out."""
LEGACY: Final = """\
The legacy way writes speech down as the quality way does, so it has no column here. Only the
answer is different: nothing of it is sent before all of its text is written and all of it is spoken. `make
bench-voice` measures that beside the others (docs/measurements.md)."""


def markdown(reports: Sequence[ComparisonReport]) -> str:
    """All sessions together first, then every input by itself."""
    inputs = [each for report in reports for each in report.inputs]
    parts = ["# Two ways of writing speech down\n", HOW + "\n", LEGACY + "\n"]
    parts += [f"## Altogether: {_sound(inputs)}\n", _ways(inputs)]
    for report in reports:
        parts += [f"## Session {report.session_id}\n", _settings(report) + "\n"]
        for each in report.inputs:
            parts += [f"### {_plain(each.name) or 'microphone'}: {_sound([each])}\n"]
            parts += [_utterances(each.utterances), _ways([each])]
    return "\n".join(parts)


def _settings(report: ComparisonReport) -> str:
    ends = report.listening.endpointing
    return (
        f"Silence that ends an utterance: {ends.silence_ms} ms"
        + (f", or {ends.complete_ms} ms after a text that reads as complete" if ends.hint else "")
        + f"; partial texts every {report.listening.partials_ms} ms."
    )


def _sound(inputs: Sequence[InputComparison]) -> str:
    utterances = sum(len(each.utterances) for each in inputs)
    heard, spoken = (sum(each.ms for each in inputs), sum(each.spoken_ms for each in inputs))
    return f"{heard / 1_000:.1f} s of sound, {spoken / 1_000:.1f} s spoken in {utterances} utterances"


def _utterances(utterances: Iterable[UtteranceComparison]) -> str:
    rows = []
    for each in utterances:
        rows.append(
            [
                f"{each.start_ms / 1_000:.1f}–{each.end_ms / 1_000:.1f}",
                *(_text(way.text, error) for way, error in zip(each.ways, each.errors, strict=True)),
                "; ".join(f"{_plain(d.left) or '-'} / {_plain(d.right) or '-'}" for d in each.differences),
                " / ".join(
                    "-" if error else f"{way.after_ms:.0f}"
                    for way, error in zip(each.ways, each.errors, strict=True)
                ),
                str(each.ways[0].revisions),
            ]
        )
    headings = ["s", "realtime", "quality", "differing words", "text after, ms", "revisions"]
    return table(headings, rows)


def _text(text: str, error: str) -> str:
    return f"*failed: {_plain(error)}*" if error else _plain(text)


def _ways(inputs: Sequence[InputComparison]) -> str:
    headings = ["way", "engine", "words", "errors", "failed", "text after p50 / worst", "revisions"]
    headings += ["requests", "cost", "CPU per second of sound"]
    ways = [[each.ways[way] for each in inputs] for way in range(2)]
    return table(headings, [_way(totals, inputs) for totals in ways if totals])


def _way(totals: Sequence[WayTotal], inputs: Sequence[InputComparison]) -> list[str]:
    after = [ms for each in totals for ms in each.after_ms]
    cpu_ms = sum(each.cpu_ms for each in totals)
    sound_ms = sum(each.ms for each in inputs)
    return [
        totals[0].mode,
        next((each.engine for each in totals if each.engine), "-"),
        str(sum(each.words for each in totals)),
        _errors(totals, inputs),
        str(sum(each.failed for each in totals)),
        f"{median(after):.0f} / {max(after):.0f} ms" if after else "-",
        str(sum(each.revisions for each in totals)),
        str(sum(each.requests for each in totals)),
        f"{sound_ms / cpu_ms:.1f} s of sound per CPU second" if cpu_ms else "not known",
        f"{cpu_ms / sound_ms * 1_000:.0f} ms" if cpu_ms and sound_ms else "not known",
    ]


def _errors(totals: Sequence[WayTotal], inputs: Sequence[InputComparison]) -> str:
    known = [
        (way.word_errors, each.reference_words)
        for way, each in zip(totals, inputs, strict=True)
        if way.word_errors is not None and each.reference_words
    ]
    if not known:
        return "no reference"
    wrong, words = sum(errors for errors, _ in known), sum(words for _, words in known)
    return f"{wrong} of {words}: {wrong / words:.1%}"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def _plain(text: str) -> str:
    """Nothing in it is Markdown, and it stays in its cell."""
    text = " ".join(text.split())
    for sign in "\\`*_{}[]<>|#":
        text = text.replace(sign, f"\\{sign}")
    return text
