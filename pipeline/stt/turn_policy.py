"""Policy for a final utterance: a new question, more of the question before, a backchannel, or nothing."""

from dataclasses import dataclass

from pipeline.session_state.conversation import Conversation
from pipeline.session_state.turn_state import TurnState
from pipeline.stt.turn_hints import is_backchannel
from schemas.events.voice_events import Taken
from schemas.ids import TurnId
from schemas.settings.listening_settings import ListeningSettings


@dataclass(frozen=True, slots=True)
class FinalUtterance:
    """An utterance that has been written down."""

    input: str
    utterance: int
    text: str
    language: str
    ends_speech: bool
    """False: it was cut by its length, or is part of a file; more follows."""


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
    if not utterance.ends_speech:
        return UtteranceDecision("kept")
    if not waiting and _only_agrees(conversation, utterance, now_ms):
        return UtteranceDecision("backchannel")
    parts = [*waiting, (utterance.utterance, utterance.text)] if utterance.text else waiting
    text, numbers = " ".join(text for _, text in parts), tuple(number for number, _ in parts)
    before = _unheard(conversation, utterance.input)
    if before is None:
        return UtteranceDecision("turn" if utterance.text else "nothing", text, numbers)
    question = f"{before.text} {text}"
    return UtteranceDecision("joined" if utterance.text else "nothing", question, numbers, before.turn)


def _only_agrees(conversation: Conversation, utterance: FinalUtterance, now_ms: int) -> bool:
    return (
        is_backchannel(utterance.text, utterance.language) and spoken_over(conversation, now_ms) is not None
    )


def _unheard(conversation: Conversation, name: str) -> TurnState | None:
    """The latest turn, if the same speaker asked it, and more can be asked with it."""
    latest = next(reversed(conversation.turns.values()), None)
    return latest if latest is not None and latest.input == name and latest.unheard else None
