"""Policy for a final utterance: a new question, more of the question before, a backchannel, or nothing."""

from dataclasses import dataclass
from typing import Final, Protocol

from pipeline.session_state.conversation import Conversation
from pipeline.session_state.turn_state import TurnState
from pipeline.stt.turn_hints import is_backchannel, is_echo
from schemas.events.voice_events import Taken
from schemas.ids import TurnId
from schemas.settings.listening_settings import ListeningSettings

_WORDLESS: Final = 2
"""Speech that lasts so many times `interrupt_ms` interrupts, though nothing of it is understood yet."""

_ECHO_MS: Final = 30_000
"""An echo comes from what is heard at that time, and reports of that are late; a long text has most pairs of
words, also those of a question."""


class Understood(Protocol):
    """Words of speech that goes on, as an UtteranceTranscriber has them."""

    @property
    def understood(self) -> str | None: ...
    @property
    def language(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class FinalUtterance:
    """An utterance that has been written down."""

    input: str
    utterance: int
    text: str
    language: str
    ends_speech: bool
    """False: it was cut by its length, or is part of a file; more follows."""
    distant: bool = False
    """It was much quieter than what is asked at this input."""
    over: TurnId | None = None
    """The answer that was heard when it began; None: none was, or that is not known."""


@dataclass(frozen=True, slots=True)
class UtteranceDecision:
    """Decision about a final utterance."""

    taken: Taken
    question: str = ""
    """To be asked: for `turn` and `joined`, and for `nothing` where something waited for more."""
    utterances: tuple[int, ...] = ()
    merges: TurnId | None = None
    """The turn that the question replaces."""


def spoken_over(conversation: Conversation, now_ms: int) -> TurnState | None:
    """The answer that somebody hears now."""
    for state in reversed(conversation.turns.values()):
        if state.being_heard(now_ms):
            return state
    return None


def decide(
    conversation: Conversation, utterance: FinalUtterance, settings: ListeningSettings, now_ms: int
) -> UtteranceDecision:
    """Decide about an utterance, by what is known when it has been written down."""
    heard = conversation.inputs.get(utterance.input)
    waiting = heard.kept if heard is not None else []
    if not utterance.text and not (utterance.ends_speech and settings.reply and waiting):
        return UtteranceDecision("nothing")
    if not settings.reply:
        return UtteranceDecision("noted")
    over = spoken_over(conversation, now_ms)
    if not waiting and utterance.distant and (over is not None or _began_over(conversation, utterance)):
        return UtteranceDecision("backchannel")
    if not utterance.ends_speech:
        return UtteranceDecision("kept")
    if not waiting and over is not None and not is_interruption(utterance.text, utterance.language, over):
        return UtteranceDecision("backchannel")
    parts = [*waiting, (utterance.utterance, utterance.text)] if utterance.text else waiting
    text, numbers = " ".join(text for _, text in parts), tuple(number for number, _ in parts)
    before = _unheard(conversation, utterance.input)
    if before is None:
        return UtteranceDecision("turn" if utterance.text else "nothing", text, numbers)
    question = f"{before.text} {text}"
    return UtteranceDecision("joined" if utterance.text else "nothing", question, numbers, before.turn)


def _began_over(conversation: Conversation, utterance: FinalUtterance) -> bool:
    """Whether an answer that was not stopped was heard when it began: a television goes on after it."""
    answer = None if utterance.over is None else conversation.turns.get(utterance.over)
    return answer is not None and not answer.flushed


def is_interruption(text: str, language: str, answer: TurnState) -> bool:
    """Whether words over an answer interrupt it; agreement, laughter and the answer's own words do not."""
    return not is_backchannel(text, language) and not is_echo(text, answer.heard_near(_ECHO_MS))


def interrupts(speech_ms: int, interrupt_ms: int, words: Understood | None, answer: TurnState) -> bool:
    """Whether speech of this length stops the answer: by its words where there are some, else by its length.

    Until then the answer is held, so that the wait makes no sound.
    """
    if speech_ms < interrupt_ms:
        return False
    if words is None or words.understood is None:
        return True
    if not words.understood:
        return speech_ms >= _WORDLESS * interrupt_ms
    return is_interruption(words.understood, words.language or "", answer)


def _unheard(conversation: Conversation, name: str) -> TurnState | None:
    """The latest turn, if the same speaker asked it, and more can be asked with it."""
    latest = next(reversed(conversation.turns.values()), None)
    return latest if latest is not None and latest.input == name and latest.unheard else None
