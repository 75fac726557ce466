"""How long a turn's answer takes to begin, as its owner sees it in the log.

By that newcomers are let in, and as long as that others give way.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from pipeline.admission.concurrency_limiter import ConcurrencyLimiter, Wait
from pipeline.admission.engine_backpressure import EngineBackpressure
from pipeline.core.clock import Clock
from pipeline.session_state.turn_state import TurnState
from schemas.settings import SessionSettings
from schemas.settings.provider_settings import is_ours


class Watched(Protocol):
    @property
    def clock(self) -> Clock: ...
    @property
    def pressure(self) -> EngineBackpressure | None: ...


class FirstAudioProbe:
    """Of one turn; without somebody to tell, nothing."""

    def __init__(
        self,
        newcomers: ConcurrencyLimiter | None = None,
        wait: Wait | None = None,
        heard: Callable[[], None] = lambda: None,
    ) -> None:
        self._newcomers = newcomers
        self._wait = wait
        self._heard = heard

    def see(self, state: TurnState, *, held: bool) -> None:
        """The turn as it stands now; what is held back on purpose is not late, and nobody waits for it."""
        if held or state.first_audio_ms is not None:
            self._heard()
        if self._newcomers is None or self._wait is None:
            return
        if _begun(state):
            self._newcomers.answered(self._wait)
        elif held:
            self._newcomers.dropped(self._wait)


@contextmanager
def first_answer(services: Watched, state: TurnState, *, after_ms: int) -> Iterator[FirstAudioProbe]:
    """Until the turn is over in the log.

    `after_ms` (wall clock): what it had to wait for a turn before it does not count. Turns that somebody
    else has begun, that are not shown before they are whole, or that are answered or spoken elsewhere are
    not judged: they only take room.
    """
    if services.pressure is None:
        yield FirstAudioProbe()
        return
    newcomers, now_ms = services.pressure.newcomers, services.clock.now_ms()
    waited_s = max(0, now_ms - max(state.requested_ms, after_ms)) / 1_000
    with newcomers.turn(_kind(state), waited_s) as wait, services.pressure.courtesy.awaited() as heard:
        if not _comparable(state):
            newcomers.dropped(wait)
        if not takes_our_voice(state.settings) or state.first_audio_ms is not None:
            heard()
        yield FirstAudioProbe(newcomers, wait, heard)


def takes_our_voice(settings: SessionSettings) -> bool:
    """To be heard while it is made."""
    return settings.speak and is_ours(settings.tts_provider) and settings.listening.mode != "legacy"


def _comparable(state: TurnState) -> bool:
    settings = state.settings
    ours = is_ours(settings.llm_provider) and is_ours(settings.tts_provider)
    return ours and state.status == "requested" and settings.listening.mode != "legacy"


def _begun(state: TurnState) -> bool:
    return state.first_audio_ms is not None if state.settings.speak else bool(state.parts)


def _kind(state: TurnState) -> str:
    """Turns that take equally long to begin where nothing is in their way, more or less."""
    made = "read" if state.kind == "text" else "searched" if state.settings.collections else "answered"
    return f"{made}, {'spoken' if state.settings.speak else 'shown'}"
