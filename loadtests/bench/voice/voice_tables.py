"""From traces to tables. Pure arithmetic."""

from collections.abc import Callable, Sequence
from typing import Final

from loadtests.bench.voice.voice_conversation import STEPS, DirectAnswer, VoiceOutcome, VoiceTrace
from loadtests.report.tables import markdown, percentile, spread, table_of, verdict
from pipeline.stt.evaluation.word_error_rate import WordErrors, altogether

_LATE_BEGIN_MS: Final = 300.0
"""Beyond what is kept from before an utterance, its first sound is lost."""
_OVERLONG_MS: Final = 300.0
_ERROR_RATE: Final = 0.04
SILENCE_500: Final = "realtime, 500 ms of silence, no hint"
SILENCE_300: Final = "realtime, 300 ms of silence, no hint"
DELIVERED: Final = "realtime, as delivered"


def steps_table(traces: Sequence[VoiceTrace]) -> str:
    """Table of the steps of a turn, from the last sound of the question on."""
    rows: list[list[str]] = []
    before = [0.0] * len(traces)
    for step in STEPS:
        at = [trace.recorded[step] for trace in traces]
        spent = [now - then for now, then in zip(at, before, strict=True)]
        told = [trace.arrived[step] for trace in traces]
        rows.append([step, spread(at), spread(spent), spread(told)])
        before = at
    for name, at in (
        ("audible sound arrived", [trace.audible for trace in traces]),
        ("heard", [trace.heard for trace in traces]),
    ):
        rows.append([name, "", "", spread(at)])
    headings = ["step", "in the log at, p50 / p95 ms", "since the step before", "told to the caller at"]
    return markdown(headings, rows)


def outcome_row(outcome: VoiceOutcome) -> dict[str, str]:
    traces = outcome.traces

    def of(value: Callable[[VoiceTrace], float]) -> str:
        return spread([value(trace) for trace in traces])

    return {
        "how": outcome.scenario.name,
        "callers": str(outcome.scenario.callers),
        "final text": of(lambda trace: trace.arrived["transcript.final"]),
        "first byte": of(lambda trace: trace.arrived["audio.chunk"]),
        "voice to voice: audible byte": of(lambda trace: trace.audible),
        "played": of(lambda trace: trace.heard),
        "word errors": rate(altogether(trace.errors for trace in traces)),
        "ends of speech": endpointing(traces),
        "turns": f"{len(traces)}" + (f", {len(outcome.failures)} FAILED" if outcome.failures else ""),
    }


def floor_row(floor: Sequence[DirectAnswer]) -> dict[str, str]:
    whole = spread([each.voice_to_voice(500) for each in floor])
    return {
        "how": "floor: 500 ms, then the engines called directly",
        "callers": "1",
        "final text": spread([500 + each.decode for each in floor]),
        "first byte": whole,
        "voice to voice: audible byte": whole,
        "played": "",
        "word errors": rate(altogether(each.errors for each in floor)),
        "ends of speech": "",
        "turns": str(len(floor)),
    }


def rate(errors: WordErrors) -> str:
    return "-" if errors.rate is None else f"{errors.rate:.1%} of {errors.words}"


def endpointing(traces: Sequence[VoiceTrace]) -> str:
    """Count utterances whose begin or end was found wrongly."""
    split = sum(trace.utterances > 1 for trace in traces)
    late = sum(trace.began_late > _LATE_BEGIN_MS for trace in traces)
    long = sum(trace.late_vad > _OVERLONG_MS for trace in traces)
    return f"split {split}, begun too late {late}, over-long {long}"


def verdicts(outcomes: Sequence[VoiceOutcome]) -> list[list[str]]:
    """The targets of one caller alone, beside what was measured; and was everybody answered?"""
    alone = {outcome.scenario.name: outcome for outcome in outcomes if outcome.scenario.callers == 1}
    rows = []
    for name, limit in ((SILENCE_500, 550.0), (SILENCE_300, 350.0)):
        if outcome := alone.get(name):
            final = [trace.arrived["transcript.final"] for trace in outcome.traces]
            rows.append(_in_time(f"final text, {name}", final, limit, outcome))
    if outcome := alone.get(DELIVERED):
        audible = [trace.audible for trace in outcome.traces]
        rows.append(_in_time(f"voice to voice, {DELIVERED}", audible, 900.0, outcome))
    for name, outcome in alone.items():
        errors = altogether(trace.errors for trace in outcome.traces)
        kept = None if errors.rate is None else errors.rate <= _ERROR_RATE
        rows.append([f"word errors, {name}", rate(errors), f"<= {_ERROR_RATE:.0%}", _judged(kept, outcome)])
    return [*rows, *map(_answered, outcomes)]


def _in_time(name: str, series: Sequence[float], limit: float, outcome: VoiceOutcome) -> list[str]:
    measured = f"{spread(series)} ms" if series else "-"
    kept = percentile(series, 0.5) <= limit if series else None
    return [name, measured, f"p50 <= {limit:.0f} ms", _judged(kept, outcome)]


def _answered(outcome: VoiceOutcome) -> list[str]:
    answered, failed = len(outcome.traces), len(outcome.failures)
    name = f"questions answered, {outcome.scenario.name}, callers: {outcome.scenario.callers}"
    kept = True if answered else None
    return [name, f"{answered} of {answered + failed}", "all", _judged(kept, outcome)]


def _judged(kept: bool | None, outcome: VoiceOutcome) -> str:
    """Verdict; a question that was not answered is a miss."""
    failed = len(outcome.failures)
    return f"MISSED, {failed} failed" if failed else verdict(kept)


def described(outcome: VoiceOutcome) -> str:
    """One scenario, step by step and clip by clip."""
    lines = [f"{outcome.scenario.name}, callers: {outcome.scenario.callers}\n"]
    if outcome.traces:
        lines += [steps_table(outcome.traces), table_of([outcome_row(outcome)])]
    lines += [f"* FAILED {failure}" for failure in outcome.failures]
    for trace in outcome.traces:
        lines.append(
            f"* {trace.clip[-8:]}: voice ended {trace.late_vad:+.0f} ms from the true end, then "
            f"{trace.waited} ms of silence; decode {trace.decode:.0f} ms, CPU {trace.engine_cpu:.0f} ms; "
            f"{trace.errors.errors} of {trace.errors.words} words wrong: {trace.text}"
        )
    late = f"{percentile(outcome.late_ms, 0.95):.1f} ms at p95" if outcome.late_ms else "never"
    return "\n".join([*lines, f"* the callers' own frames left late by {late}\n"])
