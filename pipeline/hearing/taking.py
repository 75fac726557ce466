"""What becomes of what was said: a question, more of the question before, a word of agreement, nothing."""

from dataclasses import dataclass

from pipeline.conversation import Conversation
from pipeline.hearing.hints import is_backchannel
from pipeline.turn_state import TurnState
from schemas.ids import TurnId
from schemas.listening import ListeningSettings
from schemas.voice_facts import Taken


@dataclass(frozen=True, slots=True)
class Said:
    """An utterance that has been written down."""

    input: str
    utterance: int
    text: str
    language: str
    ends_speech: bool
    """False: it was cut by its length, or is part of a file; more follows."""


@dataclass(frozen=True, slots=True)
class Taking:
    """What is to be done about it."""

    taken: Taken
    question: str = ""
    """To be asked, for `turn` and `joined`."""
    utterances: tuple[int, ...] = ()
    merges: TurnId | None = None
    """The turn that the question replaces."""


def spoken_over(conversation: Conversation, now_ms: int) -> TurnState | None:
    """The answer that somebody hears now."""
    for state in reversed(conversation.turns.values()):
        if state.being_heard(now_ms):
            return state
    return None


def take(conversation: Conversation, said: Said, settings: ListeningSettings, now_ms: int) -> Taking:
    """Decide about an utterance, by what is known when it has been written down."""
    if not said.text:
        return Taking("nothing")
    if not settings.reply:
        return Taking("noted")
    if not said.ends_speech:
        return Taking("kept")
    if is_backchannel(said.text, said.language) and spoken_over(conversation, now_ms) is not None:
        return Taking("backchannel")
    earlier = conversation.inputs[said.input].kept if said.input in conversation.inputs else []
    text = " ".join([*(kept for _, kept in earlier), said.text])
    numbers = (*(number for number, _ in earlier), said.utterance)
    before = _unheard(conversation, said.input)
    if before is None:
        return Taking("turn", text, numbers)
    return Taking("joined", f"{before.text} {text}", numbers, before.turn)


def _unheard(conversation: Conversation, name: str) -> TurnState | None:
    """The latest turn, if the same speaker asked it, nothing of its answer was heard, and it is not over."""
    latest = next(reversed(conversation.turns.values()), None)
    if latest is None or latest.over or latest.input != name or latest.stopping is not None:
        return None
    return latest if latest.first_audio_ms is None else None
