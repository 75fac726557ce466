"""The whole log's metrics worked out again, beside those that the workers have counted."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

from cluster.checks.config import current
from cluster.terminal import run_state
from cluster.terminal.cli_errors import CliError, NotRunning
from pipeline.background.redis.redis_measures import RedisMeasures
from pipeline.background.redis.redis_projections import RedisProjections
from pipeline.background.session_directory import Directory
from pipeline.eventlog.open_log import open_log
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.eventlog.tiered_log import TieredLog
from pipeline.observability.metric_fold import measurements, recounted
from pipeline.observability.tally import Tally
from schemas.errors import LogError, RhapsodeError
from schemas.ids import SessionId
from schemas.native.native_messages import Measurement


async def of_all(config: Path | None) -> dict[str, Any]:
    """Reads the log itself: a gateway has other things to do."""
    settings = current(config).settings
    if settings.log.embedded and embedded_server.status(run_state.home()) is None:
        raise NotRunning  # reading alone must not start a log server
    log = open_log(settings.log, run_state.home(), settings.archive)
    try:
        total, sessions = Tally(), 0
        async with aclosing(_sessions(log)) as every:
            async for session in every:
                sessions += 1
                total.add(await _counted(log, session))
        live = await RedisMeasures(log.hot).tally()
    except LogError as error:
        raise CliError(f"The log cannot be read: {error}", "See rhapsode status.") from error
    finally:
        await log.aclose()
    return {
        "sessions": sessions,
        "equal": total == live,
        "metrics": _plain(measurements(total)),
        "counted": _plain(measurements(live)),
    }


async def _counted(log: TieredLog, session: SessionId) -> Tally:
    try:
        return await recounted(log, session)
    except LogError:
        raise
    except RhapsodeError:
        return Tally()  # deleted under our eyes


async def _sessions(log: TieredLog) -> AsyncGenerator[SessionId, None]:
    """All that there are, archived ones too."""
    directory, projections = Directory(log.hot), RedisProjections(log.hot)
    try:
        for partition in range((await log.hot.keys()).partitions):
            known = await directory.known(partition)
            for session in dict.fromkeys([*await projections.sessions(partition), *known]):
                yield session
    finally:
        await projections.aclose()


def _plain(found: tuple[Measurement, ...]) -> list[dict[str, Any]]:
    return [one.model_dump(exclude_none=True) for one in found]
