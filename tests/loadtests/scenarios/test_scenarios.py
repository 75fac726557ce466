"""People on a real application: every scenario is played, nothing is wrong, and the report says so."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import httpx
import pytest

from loadtests.client.recorded_speech import available
from loadtests.report.load_result import LoadResult
from loadtests.runner.load_command import measured, parsed
from loadtests.scenarios import SCENARIOS, SPEAKING
from tests.support.running_app import RunningApp

pytestmark = [pytest.mark.anyio]

QUICK = "--rate 4/s --for 1 --arrivals constant --think 0.01 --turns 2 --no-listen --pages 1 --listeners 4"


async def result_of(app: RunningApp, words: str) -> LoadResult:
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
    assert LoadResult.model_validate_json(result.model_dump_json()) == result


@pytest.mark.skipif(not available(), reason="needs Debian's pocketsphinx-testdata")
async def test_a_caller_that_is_flushed_at_once_has_fallen_silent_too(app: RunningApp) -> None:
    """As by a gateway that was so late that it heard the first word as an interruption."""
    settings = '{"listening":{"hold_ms":600,"interrupt_ms":600}}'
    result = await result_of(app, f"--scenario barge-in --rate 1/s --turns 1 --settings {settings}")
    assert (result.people.fine, result.people.codes) == (1, {})
    assert result.latencies["held"] == result.latencies["flushed"]


async def test_in_a_soak_sessions_are_compared_and_deleted_when_their_person_leaves(app: RunningApp) -> None:
    gone: list[int] = []

    async def sessions() -> int:
        async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
            return len((await http.get("/v1/sessions")).json()["sessions"])

    async def watched(result: Awaitable[LoadResult]) -> LoadResult:
        running = asyncio.ensure_future(result)
        while not running.done():
            gone.append(await sessions())
            await asyncio.sleep(0.05)
        return running.result()

    before = await sessions()
    result = await watched(result_of(app, "--scenario chat --arrivals soak --rate 12/s --for 2 --compare 5"))
    assert result.people.fine == result.people.planned > 10
    assert 5 <= result.judgement.compared_with_log <= 8, "evenly spread"
    assert max(gone) - before < result.people.planned, "nobody waits for the end with tidying up"
    assert await sessions() == before


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_book_of_a_hundred_pages_is_heard_to_its_end(app: RunningApp) -> None:
    words = "--scenario book --pages 100 --rate 1/s --settings {} --grace 500 --patience 500"
    result = await result_of(app, words)
    assert (result.people.fine, result.people.codes) == (1, {})
    assert result.judgement.answers == 1
    assert result.judgement.facts > 100 * 32 * 2, "each of its sentences is told and completed"
    assert all(one.kept for one in result.requirements)
