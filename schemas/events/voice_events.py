"""Events about audio input: sound, speech, and what was written down of it.

An input is one microphone, or one file, from its opening to its close. Its milliseconds count its own sound
from its first sample. Utterances are numbered 0, 1, 2, ... within it.
"""

from typing import Literal

from schemas.events.event_model import EventModel as _Event
from schemas.settings.listening_settings import ListeningSettings, Mode


class InputOpened(_Event):
    """An audio input was opened, or resumed after a broken connection."""

    type: Literal["input.opened"] = "input.opened"
    v: Literal[1] = 1
    input: str
    """Its name: any UUID of the client's."""
    source: Literal["microphone", "file"]
    format: str
    """As it was sent: "pcm16", "opus", "mulaw", "alaw", or the container of a file."""
    rate: int
    """Samples per second, as it was sent."""
    at_ms: int = 0
    """Position at which it resumes; 0: it begins."""
    name: str = ""
    """Of a file."""
    total_ms: int | None = None
    """Of a file that says how long it is."""
    reference: str = ""
    """Known text of the recording: transcripts are measured against it."""
    language: str = ""
    """As wished; empty: it is found out."""
    settings: ListeningSettings


class InputAudio(_Event):
    """A piece of what was heard. Its bytes lie in the sibling audio stream under the same number.

    Between two pieces there was silence, or sound that was lost or not to be recorded.
    """

    type: Literal["input.audio"] = "input.audio"
    v: Literal[1] = 1
    input: str
    at_ms: int
    ms: int
    codec: Literal["opus"] = "opus"
    bytes: int
    sha256: str
    """Of the bytes, in hexadecimal digits."""


class InputProgress(_Event):
    """So much of a file has been listened to."""

    type: Literal["input.progress"] = "input.progress"
    v: Literal[1] = 1
    input: str
    ms: int


class InputClosed(_Event):
    """Nothing more is heard of the input, unless it is opened again."""

    type: Literal["input.closed"] = "input.closed"
    v: Literal[1] = 1
    input: str
    ms: int
    reason: Literal["client", "end", "cut", "session_ended", "failed"]
    """`end`: of the file. `cut`: the connection broke, and nobody came back in time."""
    code: str = ""
    message: str = ""


class SpeechStarted(_Event):
    """The user began to speak at `at_ms`."""

    type: Literal["speech.started"] = "speech.started"
    v: Literal[1] = 1
    input: str
    utterance: int
    at_ms: int


class SpeechEnded(_Event):
    """The utterance is over: it was spoken from start_ms to end_ms, without the silence around it."""

    type: Literal["speech.ended"] = "speech.ended"
    v: Literal[1] = 1
    input: str
    utterance: int
    start_ms: int
    end_ms: int
    at_ms: int
    """Position of the input at the decision: end_ms and the silence that was waited for."""
    reason: Literal["silence", "commit", "max_length", "closed"]


class SpeechDiscarded(_Event):
    """The client took back what was said since the last utterance."""

    type: Literal["speech.discarded"] = "speech.discarded"
    v: Literal[1] = 1
    input: str
    utterance: int
    at_ms: int


class HeardWord(_Event):
    """Characters [start, end) of the transcript were spoken from start_ms to end_ms of the input."""

    start: int
    end: int
    start_ms: int
    end_ms: int
    speaker: str = ""


class TranscriptPartial(_Event):
    """Partial transcript; the first `stable` characters will not change."""

    type: Literal["transcript.partial"] = "transcript.partial"
    v: Literal[1] = 1
    input: str
    utterance: int
    text: str
    stable: int
    at_ms: int
    """Up to where the input has been listened to."""


Taken = Literal["turn", "joined", "kept", "backchannel", "nothing", "noted"]
"""Decision about an utterance.

`turn`: it is asked. `joined`: together with what was said just before, it is asked again. `kept`: it was
cut by its length and waits for the next one. `backchannel`: while an answer was heard, a word of agreement,
laughter, the answer itself from a loudspeaker, or speech that is far below the usual level of what is asked.
`nothing`: no words. `noted`: it is only written down.
"""


class TranscriptFinal(_Event):
    """Final transcript of the utterance; will not change."""

    type: Literal["transcript.final"] = "transcript.final"
    v: Literal[1] = 1
    input: str
    utterance: int
    text: str
    mode: Mode
    engine: str
    language: str
    words: tuple[HeardWord, ...] = ()
    start_ms: int
    end_ms: int
    taken: Taken
    after_ms: float
    """From the arrival of the last sound of the utterance to this text being known."""
    decode_ms: float
    """Of the engine's work, the part that this text came from."""
    cpu_ms: float = 0.0
    """Processor time of all the work on this utterance, where the engine knows it."""
    revisions: int = 0
    """Words of partial transcripts that were taken back."""


class TranscriptFailed(_Event):
    """The utterance could not be written down; its sound is in the log if it was recorded."""

    type: Literal["transcript.failed"] = "transcript.failed"
    v: Literal[1] = 1
    input: str
    utterance: int
    mode: Mode
    code: str
    message: str


class WayReport(_Event):
    """How one way did on one utterance."""

    mode: Mode
    engine: str
    text: str
    after_ms: float
    decode_ms: float
    cpu_ms: float = 0.0
    revisions: int = 0
    word_errors: int | None = None
    """Against the reference, where one was given for the whole input and it is one utterance."""


class WordDifference(_Event):
    """Words `left` of the first way are words `right` of the second; either may be empty."""

    left: str
    right: str


class TranscriptCompared(_Event):
    """Both ways have written the same utterance down."""

    type: Literal["transcript.compared"] = "transcript.compared"
    v: Literal[1] = 1
    input: str
    utterance: int
    audio_ms: int
    ways: tuple[WayReport, ...]
    """The one that was answered comes first."""
    words: int
    """Of the first one's text."""
    differences: tuple[WordDifference, ...] = ()


class PlaybackHeard(_Event):
    """So much of the turn's audio has come out of the loudspeaker of whoever says so."""

    type: Literal["playback.heard"] = "playback.heard"
    v: Literal[1] = 1
    heard_ms: int


class PlaybackEnded(_Event):
    """A listener who says what it heard is through with the turn: at its end, or before."""

    type: Literal["playback.ended"] = "playback.ended"
    v: Literal[1] = 1
    heard_ms: int
    underruns: int
    """How often its loudspeaker ran dry in the middle."""


class PlaybackFlushed(_Event):
    """Listeners drop what they still hold of the turn's audio, with a short fade: somebody is speaking, or
    has heard enough of what is complete already."""

    type: Literal["playback.flushed"] = "playback.flushed"
    v: Literal[1] = 1
    reason: Literal["barge_in", "user", "merged", "stopped"]
    """"user": what was not heard counts as unsaid. "stopped": only its sound ends."""
