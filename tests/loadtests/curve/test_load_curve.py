"""The curve: what is said of its steps, what the command is told and writes, and how it ends."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.report import curve_page
from loadtests.report.curve_page import MARK, CurveStep, LoadCurve, curve_table, keep, page, picture
from loadtests.runner import curve_command
from loadtests.runner.curve_command import RATES, curve_main, curve_parsed
from loadtests.runner.load_command import BROKEN, KEPT, WRONG
from tests.loadtests.typed_commands import ended, refused
from tests.support.running_app import RunningApp

QUIET_STEP = CurveStep(
    per_s=1.0,
    came=30,
    people_mean=5.0,
    people_most=9,
    admitted=30,
    refused=0,
    refused_inside=0,
    refused_untold=0,
    codes={},
    retry_after_s=None,
    not_answered=0,
    answers=30,
    ttfa_p50_ms=200.0,
    ttfa_p95_ms=300.0,
    ratio_p50=1.0,
    ratio_p95=1.0,
    answers_with_gaps=0,
    faults={"lost": 0, "doubled": 0},
    gateway_cpu_ms_each=40.0,
    gateway_mb_each=0.2,
    cores=0.5,
    client_late_p99_ms=2.0,
    client_late=False,
)


def step(**changes: object) -> CurveStep:
    return QUIET_STEP.model_copy(update=changes)


BUSY = step(per_s=2.0, ratio_p95=1.4)
FULL = step(
    per_s=4.0,
    ratio_p95=1.9,
    refused=40,
    codes={"gateway.busy": 40},
    retry_after_s=(2.0, 9.0),
    answers_with_gaps=3,
    client_late_p99_ms=80.0,
    client_late=True,
)


def kept(*steps: CurveStep) -> list[bool | None]:
    return [one.kept for one in curve_page.verdicts(steps, 1.5, 2.0)]


def test_quality_is_judged_up_to_where_load_is_felt_and_politeness_beyond() -> None:
    assert kept(QUIET_STEP, BUSY, FULL) == [True, True], "gaps beyond it are not the first statement's affair"


@pytest.mark.parametrize(
    ("worse", "verdicts"),
    [
        (step(per_s=2.0, ratio_p95=1.4, answers_with_gaps=1), [False, True]),
        (step(per_s=2.0, ratio_p95=1.4, not_answered=1), [False, True]),
        (step(per_s=2.0, ratio_p95=1.4, faults={"lost": 1}), [False, False]),
    ],
    ids=["a gap", "somebody without an answer", "an event lost"],
)
def test_a_failure_where_load_is_not_felt_yet_is_said(worse: CurveStep, verdicts: list[bool | None]) -> None:
    assert kept(QUIET_STEP, worse, FULL) == verdicts


@pytest.mark.parametrize(
    "changes",
    [
        {"ratio_p95": 2.1},
        {"refused_untold": 1},
        {"refused_inside": 1},
        {"not_answered": 1},
        {"ratio_p95": None},
    ],
    ids=[
        "too late",
        "refused without a wait",
        "refused from inside",
        "not answered",
        "nobody heard anything",
    ],
)
def test_beyond_it_one_thing_is_enough_to_break_the_second_statement(changes: dict[str, object]) -> None:
    assert kept(QUIET_STEP, BUSY, FULL.model_copy(update=changes)) == [True, False]


def test_one_gap_in_any_step_up_to_there_is_enough_to_break_the_first_statement() -> None:
    assert kept(step(answers_with_gaps=1), BUSY, FULL) == [False, True]
    assert kept(step(not_answered=1), BUSY, FULL) == [False, True]
    assert kept(step(faults={"lost": 1}), BUSY, FULL) == [False, False]


def test_only_those_who_were_refused_beyond_it_are_told_there() -> None:
    before = step(per_s=2.0, ratio_p95=1.4, refused=7)
    _, beyond = curve_page.verdicts([QUIET_STEP, before, FULL], 1.5, 2.0)
    assert "; 40 refused, 0 of them without a wait" in beyond.found
    _, never_late = curve_page.verdicts([QUIET_STEP, before], 1.5, 2.0)
    assert (never_late.kept, "; 7 refused" in never_late.found) == (True, True)


def test_where_nobody_was_refused_there_is_nothing_to_judge() -> None:
    assert kept(QUIET_STEP, BUSY) == [True, None]
    assert kept() == [None, None]


@given(st.lists(st.floats(0.5, 4), min_size=1, max_size=9))
def test_load_is_felt_from_the_first_step_on_that_is_late(ratios: list[float]) -> None:
    steps = [step(ratio_p95=ratio) for ratio in ratios]
    last = curve_page.knee(steps, 1.5)
    assert all(ratio <= 1.5 for ratio in ratios[: last + 1])
    assert last + 1 == len(ratios) or ratios[last + 1] > 1.5


def curve(*steps: CurveStep) -> LoadCurve:
    return LoadCurve(
        when="2026-11-22 12:00 UTC",
        machine="2 cores",
        commit="abc",
        command="make load-curve",
        own_system=True,
        scenario="narrate",
        seconds=30,
        late=1.5,
        flat=2.0,
        steps=steps,
        verdicts=curve_page.verdicts(steps, 1.5, 2.0),
        whole=(),
    )


def test_the_newest_table_is_kept_on_top_and_the_picture_beside_it(tmp_path: Path) -> None:
    (tmp_path / "measurements.md").write_text(f"# Measurements\n\n{MARK}\n### older\n", "utf-8")
    keep(curve(QUIET_STEP, BUSY, FULL), tmp_path)
    text = (tmp_path / "measurements.md").read_text("utf-8")
    assert text.index(MARK) < text.index("### 2026-11-22 12:00 UTC") < text.index("### older")
    assert "| 4 |" in text
    assert "gateway.busy 40" in text
    assert "80 (late)" in text, "a step in which this client was late is marked"
    drawn = (tmp_path / "load-curve.svg").read_text("utf-8")
    assert drawn.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    (tmp_path / "measurements.md").write_text("# Measurements\n", "utf-8")
    with pytest.raises(ValueError, match="has no line"):
        keep(curve(QUIET_STEP), tmp_path)


def test_the_place_for_it_is_in_the_documents() -> None:
    document = Path(__file__).parents[3] / "docs" / "measurements.md"
    assert document.read_text("utf-8").count(MARK) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--rates 2/s,1/s", "steps go up"),
        ("--rates 0/s,1/s", "from more than nobody"),
        ("--flat 1", "no factor above 1"),
        ("--scenario call", "choose from"),
        ("--key k", "--key works only with --url"),
        ("--url localhost", "no address: such as http://"),
        ("--url http://host:abc", "no address: such as http://"),
        ("--processes many", "no number from 1 on"),
        ("--rates 1/s,inf", "'inf' is no rate"),
        ("--flat nan", "no factor above 1"),
        ("--think inf", "no number from 0 on"),
    ],
)
def test_impossible_options_are_said_in_one_line(
    words: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(curve_main, words, monkeypatch, capsys)


def test_help_teaches_by_three_examples_and_says_what_is_judged(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        curve_parsed(["--help"])
    said = capsys.readouterr().out
    assert said.count("\n  make load-curve") == 3
    assert "1. at the last step" in said
    assert all(curve_parsed(["--scenario", name]).rates == rates for name, rates in RATES.items())


def test_where_nobody_answers_it_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(curve_main, monkeypatch, "--url", "http://127.0.0.1:9", "--quiet") == WRONG
    assert "load-curve: connection: ConnectError" in capsys.readouterr().err


def test_a_run_of_two_steps_leaves_its_report(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(curve_command, "_TRIES", 1)  # however much else the machine does
    words = ["--url", app.url, "--rates", "2/s,4/s", "--for", "2", "--pause", "1", "--quiet"]
    code = ended(curve_main, monkeypatch, *words, "--late", "50", "--flat", "60", "--out", str(tmp_path))
    said = capsys.readouterr().out
    found = LoadCurve.model_validate(json.loads((tmp_path / "curve.json").read_text("utf-8")))
    assert code == BROKEN != KEPT, "nobody was refused, so that nothing is known of politeness"
    assert found.verdicts == curve_page.verdicts(found.steps, 50, 60)
    assert found.verdicts[1].kept is None
    assert [one.per_s for one in found.steps] == [2.0, 4.0]
    assert [one.came for one in found.steps] == [one.admitted for one in found.steps]
    assert all(one.ttfa_p95_ms and one.answers == one.came for one in found.steps)
    assert found.steps[0].ratio_p95 == 1.0
    assert "not judged" in said
    assert curve_table(found) in said
    html = (tmp_path / "curve.html").read_text("utf-8")
    assert html == page(found)
    assert not re.search(r"<script|<link|src=|url\(", html), "it needs nothing but itself"
    assert (tmp_path / "curve.svg").read_text("utf-8") == picture(found)
