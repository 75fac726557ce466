"""The benchmark of the voice path tells what failed, and calls nothing kept that was not measured."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.bench.voice import voice_command
from loadtests.bench.voice.speech_interruptions import Interruption, rows
from loadtests.bench.voice.voice_conversation import STEPS, VoiceOutcome, VoiceScenario, VoiceTrace
from loadtests.bench.voice.voice_soak import ReplicaWatch, Soak, soak_table
from loadtests.bench.voice.voice_tables import DELIVERED, SILENCE_500, verdicts
from pipeline.stt.evaluation.word_error_rate import word_errors

NEVER = Interruption(held=None, flushed=None, detection=None, last_byte=None, ended=None)
SOON = Interruption(held=150.0, flushed=700.0, detection=690.0, last_byte=4.0, ended=9.0)


def answered(at_ms: float = 300.0) -> VoiceTrace:
    at = dict.fromkeys(STEPS, at_ms)
    return VoiceTrace(
        clip="a clip",
        recorded=at,
        arrived=at,
        audible=at_ms,
        heard=at_ms,
        late_vad=0.0,
        waited=500.0,
        decode=100.0,
        engine_cpu=100.0,
        utterances=1,
        began_late=0.0,
        text="the lamp was lit",
        errors=word_errors("the lamp was lit", "the lamp was lit"),
        answer_ms=2_000,
    )


def judged(outcome: VoiceOutcome) -> dict[str, tuple[str, str]]:
    """Measured value and verdict, by the first words of the target."""
    return {row[0].partition(",")[0]: (row[1], row[3]) for row in verdicts([outcome])}


def test_an_answer_that_is_fast_and_right_is_kept() -> None:
    told = judged(VoiceOutcome(VoiceScenario(SILENCE_500), [answered()], [], []))
    assert told == {
        "final text": ("300 / 300 ms", "kept"),
        "word errors": ("0.0% of 4", "kept"),
        "questions answered": ("1 of 1", "kept"),
    }


def test_one_failure_misses_every_target_whatever_the_others_took() -> None:
    told = judged(VoiceOutcome(VoiceScenario(DELIVERED), [answered()] * 4, ["a clip: no answer"], []))
    assert told["voice to voice"] == ("300 / 300 ms", "MISSED, 1 failed")
    assert told["word errors"] == ("0.0% of 16", "MISSED, 1 failed")
    assert told["questions answered"] == ("4 of 5", "MISSED, 1 failed")


def test_where_nothing_was_answered_nothing_is_kept() -> None:
    told = judged(VoiceOutcome(VoiceScenario(SILENCE_500), [], ["a clip: no answer"] * 5, []))
    assert told == {
        "final text": ("-", "MISSED, 5 failed"),
        "word errors": ("-", "MISSED, 5 failed"),
        "questions answered": ("0 of 5", "MISSED, 5 failed"),
    }


def test_the_failures_of_many_callers_count_too() -> None:
    (row,) = verdicts(
        [VoiceOutcome(VoiceScenario(DELIVERED, callers=4), [answered()] * 19, ["a clip: no answer"], [])]
    )
    assert row == [
        f"questions answered, {DELIVERED}, callers: 4",
        "19 of 20",
        "all",
        "MISSED, 1 failed",
    ]


def test_a_question_that_was_never_asked_is_neither_kept_nor_missed() -> None:
    assert {
        verdict for _, verdict in judged(VoiceOutcome(VoiceScenario(SILENCE_500), [], [], [])).values()
    } == {"-"}
    for row in rows([], [], hold_ms=100, interrupt_ms=600):
        assert row.cells()[1] == "-"
        assert row.cells()[5] == "-"


def test_an_interruption_that_never_came_is_missed_in_every_row() -> None:
    for row in rows([NEVER] * 8, [1.0] * 8, hold_ms=100, interrupt_ms=600):
        assert row.cells()[1] == "-"
        assert row.cells()[5] == "MISSED"
        assert row.cells()[6] == "0; 8 did not happen"


def test_one_missing_interruption_of_three_is_missed_and_counted() -> None:
    for row in rows([SOON, NEVER, SOON], [1.0] * 3, hold_ms=100, interrupt_ms=600):
        assert row.cells()[5:] == ["MISSED", "2; 1 did not happen"]
    assert [row.cells()[5] for row in rows([SOON], [1.0], 100, 600)] == ["-", "-", "kept", "kept"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("90", 90), ("90s", 90), ("30m", 1_800), ("1.5h", 5_400)]
)
def test_a_length_has_its_unit(text: str, seconds: float) -> None:
    assert voice_command.voice_parsed(["--soak", text]).soak == seconds


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--soak", "0s"], "no length"),
        (["--soak", "-3m"], "--soak"),
        (["--soak", "three minutes"], "no length"),
        (["--listening", '{"mode": "quality"}'], "--listening works only with --trace"),
        (["--trace", "--soak", "3m"], "not allowed with"),
    ],
)
def test_an_option_without_effect_is_refused(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        voice_command.voice_parsed(words)
    assert told in capsys.readouterr().err


@pytest.fixture(params=["Gateway", "Gateway.check_health"])
def replica(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process with the home of a replica and its name; for a moment that also says what it is asked."""
    title = [f"ray::ServeReplica:rhapsode:{request.param}", "60"]
    environment = {**os.environ, "RHAPSODE_HOME": str(tmp_path)}
    with subprocess.Popen(title, executable="/bin/sleep", env=environment) as process:
        yield process
        process.kill()


def test_a_process_that_goes_away_is_told(replica: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    watch = ReplicaWatch(tmp_path)
    while not (sample := watch.look()).rss_mb["Gateway"]:
        pass  # until it has become what it is called
    assert watch.gone == []
    replica.kill()
    replica.wait()
    watch.look()
    assert [told.partition(",")[0] for told in watch.gone] == [f"Gateway (process {replica.pid})"]
    table = soak_table(Soak(60.0, 61.0, [], [], 0, 2, [sample], watch.gone))
    assert f"Gateway (process {replica.pid})" in table
    assert "MISSED, 2 failed" in table
    assert table.count("MISSED") == 2


@pytest.mark.anyio
async def test_no_figure_is_read_from_a_system_that_is_not_ours() -> None:
    watch = ReplicaWatch(None)
    await watch.run()
    assert watch.samples == []
    assert "processes" not in soak_table(Soak(60.0, 61.0, [], [], 9, 0, watch.samples, watch.gone))
