"""A worker process that will be killed:
`python -m tests.pipeline.background.killed_worker HOME POISON NAME`."""

import sys
from pathlib import Path

import anyio

from pipeline.background.effect_runner import EffectFeed, EffectRunner, SharedReads
from pipeline.background.event_counts import Stats
from pipeline.background.redis.redis_groups import RedisGroups
from pipeline.background.worker_ports import Pointer, cause_key
from pipeline.eventlog.open_log import open_hot_log
from pipeline.eventlog.recorder import Recorder
from schemas.events import TextDelta
from schemas.events.recorded import Recorded
from schemas.ids import SessionId
from schemas.settings import LogSettings, WorkerSettings

SETTINGS = WorkerSettings(claim_idle_s=0.3, retry_s=0.01)


class Echo:
    """Says in a session of its own that it saw an event; refuses the poison."""

    name = "echo"
    types = frozenset({"text.completed"})

    def __init__(self, recorder: Recorder, target: SessionId, poison: str) -> None:
        self._recorder = recorder
        self._target = target
        self._poison = poison

    async def apply(self, pointer: Pointer, event: Recorded) -> None:
        if f"{pointer.session}/{pointer.seq}" == self._poison:
            raise ValueError("this is poison")
        said = TextDelta(at=pointer.seq, text=pointer.session)
        await self._recorder.post(self._target, said, key=cause_key(self.name, pointer))


async def main(home: Path, target: SessionId, poison: str, name: str) -> None:
    log = open_hot_log(LogSettings(), home)
    async with Recorder(log) as recorder, anyio.create_task_group() as tasks:
        group = RedisGroups(log)
        runners = [
            EffectRunner(effect, group, SharedReads(log), SETTINGS, consumer=name)
            for effect in (Echo(recorder, target, poison), Stats())
        ]
        tasks.start_soon(EffectFeed(group, runners, consumer=name).run)
        sys.stdout.write("ready\n")
        sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), SessionId(sys.argv[2]), sys.argv[3], sys.argv[4])
