"""Events about one turn: its text, its sentences, their audio and its end."""

from typing import Literal

from schemas.events.event_model import EventModel as _Event


class TurnStarted(_Event):
    """An owner began to work on the turn."""

    type: Literal["turn.started"] = "turn.started"
    v: Literal[1] = 1
    epoch: int
    node: str = ""
    """The owner's name; it begins with the process's id."""


class TurnResumed(_Event):
    """Another owner goes on with the turn where the log ends."""

    type: Literal["turn.resumed"] = "turn.resumed"
    v: Literal[1] = 1
    epoch: int
    node: str = ""
    chars: int
    """Characters of the answer that are in the log."""
    sentences: int
    """Sentences of it whose audio is whole, failed or skipped."""


class TextDelta(_Event):
    """The shown text grew by `text`, at offset `at`."""

    type: Literal["text.delta"] = "text.delta"
    v: Literal[1] = 1
    at: int
    text: str


class TextCompleted(_Event):
    """The shown text is whole."""

    type: Literal["text.completed"] = "text.completed"
    v: Literal[1] = 1
    chars: int
    """So much of the text stands; fewer than were shown where the length limit cut a sentence."""
    finish: Literal["stop", "length", "verbatim", "tool_calls"]
    """`tool_calls`: the client has functions to call before it goes on."""
    tokens_in: int = 0
    tokens_out: int = 0
    ttft_ms: float | None = None
    """From the call of the language model to its first delta."""
    provider: str = ""
    """Provider that answered, after a fallback not the requested one; empty: the text was given, or
    the event is older than the choice."""
    model: str = ""
    """As the provider calls it."""


class SentenceReady(_Event):
    """Characters [start, end) of the shown text will be spoken as `spoken`.

    The sentences of a turn tile its text: each starts where the one before ended.
    """

    type: Literal["sentence.ready"] = "sentence.ready"
    v: Literal[1] = 1
    sentence: int
    start: int
    end: int
    spoken: str
    """Normalised for the voice; empty: nothing to say (an emoji, a rule), no audio follows."""


class Word(_Event):
    """Characters [start, end) of the shown text are heard from start_ms to end_ms of the turn's audio."""

    start: int
    end: int
    start_ms: int
    end_ms: int


class SentenceVoiced(_Event):
    """The sentence's audio begins at `at_ms`; recorded before its first chunk."""

    type: Literal["sentence.voiced"] = "sentence.voiced"
    v: Literal[1] = 1
    sentence: int
    voice: str
    at_ms: int
    words: tuple[Word, ...] = ()
    """Empty where the engine does not know word times."""
    ttfb_ms: float | None = None
    """From the sentence being handed to the voice to its first audio."""
    provider: str = ""
    """Provider of the voice that speaks, which can be another than the session's; empty: not known."""
    ignored: tuple[str, ...] = ()
    """Wishes that this voice has no way for: `style`, `instructions`, `phonemes`."""


class AudioChunk(_Event):
    """A piece of the sentence's audio. Its bytes lie in the sibling audio stream under the same number."""

    type: Literal["audio.chunk"] = "audio.chunk"
    v: Literal[1] = 1
    sentence: int
    chunk: int
    """0, 1, 2, ... within the sentence."""
    at_ms: int
    ms: int
    codec: Literal["opus"] = "opus"
    bytes: int
    last: bool = False
    """Nothing of this sentence follows."""


class SentenceCompleted(_Event):
    """All audio of the sentence is in the log."""

    type: Literal["sentence.completed"] = "sentence.completed"
    v: Literal[1] = 1
    sentence: int
    at_ms: int
    ms: int
    made_ms: float | None = None
    """The voice's time for it, without waiting for its listeners; None: two owners made it, or an earlier
    reading had it."""


class SentenceFailed(_Event):
    """The voice could not speak this sentence; the turn goes on without (the rest of) its audio."""

    type: Literal["sentence.failed"] = "sentence.failed"
    v: Literal[1] = 1
    sentence: int
    code: str
    message: str


class SentenceSkipped(_Event):
    """On request, (the rest of) the sentence's audio was not made."""

    type: Literal["sentence.skipped"] = "sentence.skipped"
    v: Literal[1] = 1
    sentence: int


class TurnCompleted(_Event):
    """The turn's text and audio are whole. Terminal."""

    type: Literal["turn.completed"] = "turn.completed"
    v: Literal[1] = 1
    sentences: int
    audio_ms: int
    ttfa_ms: float | None = None
    """From the request being recorded to the first audio being recorded."""


class TurnStopped(_Event):
    """The turn ended early on request; what was said before stands. Terminal."""

    type: Literal["turn.stopped"] = "turn.stopped"
    v: Literal[1] = 1
    reason: Literal["user", "barge_in", "merged", "session_ended", "forked"]


class TurnFailed(_Event):
    """The turn could not be finished; what was said before stands. Terminal."""

    type: Literal["turn.failed"] = "turn.failed"
    v: Literal[1] = 1
    stage: Literal["text", "speech", "owner"]
    code: str
    message: str
    retryable: bool = False
