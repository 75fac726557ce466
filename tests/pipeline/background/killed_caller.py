"""A worker process that calls asynchronous functions and will be killed:
`python -m tests.pipeline.background.killed_caller HOME URL NAME`."""

import sys
from pathlib import Path

import anyio

from pipeline.admission.allowance import open_allowance
from pipeline.background.effect_runner import EffectFeed, EffectRunner, SharedReads
from pipeline.background.redis.redis_groups import RedisGroups
from pipeline.background.tool_results import ToolResults
from pipeline.core.clock import SystemClock
from pipeline.eventlog.open_log import open_hot_log
from pipeline.eventlog.recorder import Recorder
from pipeline.session_state.session_views import SessionViews
from pipeline.tools.tool_registry import ToolRegistry
from schemas.settings import LogSettings, WorkerSettings
from schemas.settings.limit_settings import LimitSettings
from schemas.settings.tool_settings import RegisteredFunction, ToolRegistrySettings

SETTINGS = WorkerSettings(claim_idle_s=0.3, retry_s=0.01)


async def main(home: Path, url: str, name: str) -> None:
    log = open_hot_log(LogSettings(), home)
    weather = RegisteredFunction(url=url, asynchronous=True, timeout_s=60)
    async with (
        Recorder(log) as recorder,
        ToolRegistry(ToolRegistrySettings(functions={"weather": weather})) as functions,
        anyio.create_task_group() as tasks,
    ):
        group, owe = RedisGroups(log), open_allowance(log, LimitSettings()).told
        effect = ToolResults(SessionViews(log), functions, recorder, SystemClock(), owe)
        runner = EffectRunner(effect, group, SharedReads(log), SETTINGS, consumer=name)
        tasks.start_soon(EffectFeed(group, [runner], consumer=name).run)
        sys.stdout.write("ready\n")
        sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), sys.argv[2], sys.argv[3])
