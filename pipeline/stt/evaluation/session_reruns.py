"""Both ways of writing speech down, again, over all the sound that a session keeps. Records nothing."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Final

from pipeline.engines.ports import Transcribers
from pipeline.eventlog.event_log import EventLog
from pipeline.stt.evaluation.input_rerun import Rerun, stored_inputs
from pipeline.stt.vad import Vad
from schemas.errors import GatewayBusy
from schemas.ids import SessionId
from schemas.native.comparison_answers import ComparisonProgress, ComparisonReport, InputComparison
from schemas.settings.listening_settings import ListeningSettings

_RETRY_S: Final = 10.0


class Reruns:
    """Of one process: one at a time, since live callers need the engines more."""

    def __init__(
        self,
        log: EventLog,
        transcribers: Transcribers,
        vad: Callable[[], Vad],
        heard: Callable[[str, int], Awaitable[None]] | None = None,
    ) -> None:
        """`heard` takes so many ms from a principal's allowance, or raises LimitReached."""
        self._log = log
        self._transcribers = transcribers
        self._vad = vad
        self._heard = heard
        self._running = False

    async def lines(
        self, session: SessionId, listening: ListeningSettings, principal: str = ""
    ) -> AsyncGenerator[ComparisonProgress | ComparisonReport, None]:
        """Progress, then the report. Raises GatewayBusy or HeardLimit at once, EngineError, or what the log
        raises."""
        if self._running:
            raise GatewayBusy(
                "this replica compares already; try again when it is done", retry_after_s=_RETRY_S
            )
        self._running = True
        try:
            settings = as_live(listening)
            inputs: list[InputComparison] = []
            all_stored = await stored_inputs(self._log, session)
            if self._heard is not None:  # both ways
                await self._heard(principal, 2 * sum(one.heard_ms for one in all_stored))
            for stored in all_stored:
                rerun = Rerun(self._log, session, stored, settings, self._transcribers, self._vad())
                async with aclosing(rerun.lines()) as lines:
                    async for line in lines:
                        if isinstance(line, InputComparison):
                            inputs.append(line)
                        else:
                            yield line
            yield ComparisonReport(session_id=session, listening=settings, inputs=tuple(inputs))
        finally:
            self._running = False


def as_live(listening: ListeningSettings) -> ListeningSettings:
    """As a microphone has them that nobody presses a button on; no server elsewhere is asked."""
    changes = {"mode": "realtime", "compare": False, "turn_detection": "vad", "provider": None}
    return listening.model_copy(update=changes)
