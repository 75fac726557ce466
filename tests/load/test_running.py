"""People on a real application: every scenario is played, nothing is wrong, and the report says so."""

from pathlib import Path

import pytest

from loadtests.load.arguments import parsed
from loadtests.load.command import measured
from loadtests.load.result import Result
from loadtests.load.scenarios import SCENARIOS, SPEAKING
from loadtests.speech import available
from tests.support import RunningApp

pytestmark = [pytest.mark.anyio]

QUICK = "--rate 4/s --for 1 --arrivals constant --think 0.01 --turns 2 --no-listen --pages 1 --listeners 4"


async def result_of(app: RunningApp, words: str) -> Result:
    arguments = parsed([*QUICK.split(), "--quiet", *words.split()])
    arguments.command = "make load"
    return await measured(arguments, app.url, None)


@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name != "day"])
async def test_a_scenario_is_played_to_its_end_and_nothing_is_wrong(
    app: RunningApp, scenario: str, tmp_path: Path
) -> None:
    if scenario in SPEAKING and not available():
        pytest.skip("needs Debian's pocketsphinx-testdata")
    calm = "--rate 1/s --turns 1" if scenario in SPEAKING else ""
    result = await result_of(app, f"--scenario {scenario} {calm}")
    assert (result.people.fine, result.people.codes) == (result.people.planned, {})
    assert result.people.fine == (1 if calm else 4)
    wrong = {kind: count for kind, count in result.judgement.counts.items() if count and kind != "gaps"}
    assert wrong == {}, result.judgement.examples
    assert result.judgement.compared_with_log == result.people.fine
    assert all(one.kept for one in result.requirements)
    assert {"open", "ttfa"} <= set(result.latencies) or "v2v" in result.latencies
    assert Result.model_validate_json(result.model_dump_json()) == result
