"""Interruptions: speech over an audible answer holds the answer, then stops or resumes it."""

from typing import Final

from pipeline.core.clock import Clock
from pipeline.eventlog.recorder import Recorder
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.turn_state import TurnState
from pipeline.sessions.owner_pool import OwnerPool
from pipeline.sessions.session_commands import Sessions
from pipeline.stt.speaker_level import SpeakerLevel, UtteranceLevel
from pipeline.stt.turn_policy import Understood, UtteranceDecision, interrupts, spoken_over
from schemas.events import Event, PlaybackPaused, PlaybackResumed, TurnStopRequested
from schemas.events.voice_events import PlaybackFlushed
from schemas.ids import NO_TURN, SessionId, TurnId
from schemas.settings.listening_settings import ListeningSettings

_RELEVANT: Final = frozenset({"turn", "joined", "kept", "noted"})

_LOOK_MS: Final = 96


class InterruptionHandler:
    """Holds, stops and resumes a session's answers for one speaker. Repeating a step changes nothing."""

    def __init__(
        self, session: SessionId, sessions: Sessions, recorder: Recorder, owners: OwnerPool, clock: Clock
    ) -> None:
        self._session = session
        self._sessions = sessions
        self._recorder = recorder
        self._owners = owners
        self._clock = clock
        self._held: TurnId | None = None
        self._interrupted: TurnId | None = None
        self._looked_ms = 0
        """How long was spoken when somebody last looked what is heard."""
        self._distant_ms = 0
        """So much of the speech was distant: it does not count when speech stops the answer."""
        self._new = True
        self.usual = SpeakerLevel()

    async def speech(
        self,
        speech_ms: int,
        settings: ListeningSettings,
        words: Understood | None = None,
        level: UtteranceLevel | None = None,
    ) -> None:
        """The speaker has spoken for so long and so loud, and this is understood of it.

        Speech that comes from far behind the speaker, as a television's, does not even hold the answer.
        """
        distant = level is not None and self.usual.is_distant(level, settings.distant_db)
        self._distant_ms = speech_ms if distant else self._distant_ms
        if not self._worth_a_look(speech_ms, settings):
            return
        conversation = await (self._look() if self._new else self._sessions.glance(self._session))
        turn = self._spoken_over(conversation)
        if turn is None or turn.turn == self._interrupted:
            return
        if level is not None:
            level.over = level.over or turn.turn
        if distant or not settings.barge_in:
            return
        near_ms = speech_ms - min(self._distant_ms, speech_ms)
        if interrupts(near_ms, settings.interrupt_ms, words, turn):
            await self._interrupt(conversation, turn)
        elif self._held is None and not conversation.paused:
            self._held = turn.turn
            await self._post(PlaybackPaused(by="voice"), wake=not turn.over)

    def _worth_a_look(self, speech_ms: int, settings: ListeningSettings) -> bool:
        """A look may be a question to the log: not for every frame of everybody who speaks."""
        before_ms = self._looked_ms if self._looked_ms <= speech_ms else 0
        if speech_ms < settings.hold_ms:
            self._looked_ms = 0
            return False
        due = before_ms == 0 or speech_ms >= before_ms + _LOOK_MS
        if not due and not before_ms < settings.interrupt_ms <= speech_ms:
            return False
        self._looked_ms = speech_ms
        return True

    async def settle(
        self, decision: UtteranceDecision, settings: ListeningSettings, level: UtteranceLevel
    ) -> None:
        """It is known what was said: the answer was interrupted after all, or goes on."""
        if decision.taken in _RELEVANT:
            self.usual.learn(level)
        conversation = await self._look()
        turn = self._spoken_over(conversation)
        relevant = settings.barge_in and (decision.taken in _RELEVANT or decision.question)
        if relevant and turn is not None and turn.turn != self._interrupted:
            await self._interrupt(conversation, turn)
        await self.release()

    async def release(self) -> None:
        """Resumes an answer that speech held; an answer that the user paused stays paused."""
        self._distant_ms = 0
        if self._held is None and not self._new:
            self._interrupted, self._looked_ms = None, 0
            return
        conversation = await self._look()
        held, self._held, self._interrupted, self._looked_ms = self._held, None, None, 0
        if held is not None and conversation.paused_by == "voice":
            await self._post(PlaybackResumed(by="voice"), wake=True)

    async def give_up(self) -> None:
        """As `release`, for an answer that this handler holds itself."""
        if self._held is not None:
            await self.release()

    async def _look(self) -> Conversation:
        """Returns the conversation; an answer that an earlier handler held becomes this one's."""
        conversation, _ = await self._sessions.view(self._session)
        if self._new and conversation.paused_by == "voice":
            sounding = (turn for turn in reversed(conversation.turns.values()) if turn.first_audio_ms)
            self._held = next((turn.turn for turn in sounding), None)
        self._new = False
        return conversation

    def _spoken_over(self, conversation: Conversation) -> TurnState | None:
        """Returns the turn that is audible now, or the one that speech holds."""
        if self._held is not None:
            held = conversation.turns[self._held]
            return None if held.flushed else held
        return spoken_over(conversation, self._clock.now_ms())

    async def _interrupt(self, conversation: Conversation, turn: TurnState) -> None:
        """The answer is over: nobody hears any more of it."""
        self._interrupted = turn.turn
        await self._sessions.all_heard(self._session)
        events: list[Event] = [PlaybackFlushed(reason="barge_in")]
        if not turn.over and turn.stopping is None:
            events.append(TurnStopRequested(reason="barge_in"))
        await self._post(*events, turn=turn.turn, wake=not turn.over)
        held, self._held = self._held, None
        if held is not None and conversation.paused_by == "voice":
            await self._post(PlaybackResumed(by="voice"), wake=False)

    async def _post(self, *events: Event, turn: TurnId = NO_TURN, wake: bool) -> None:
        """`wake`: an owner has to act on it."""
        outcome = await self._recorder.post(self._session, *events, turn=turn)
        if wake:
            self._owners.wake(self._session, outcome.last)
