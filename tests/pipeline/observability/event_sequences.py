"""Sessions with turns in any order and state, event by event, as owners and listeners write them."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from schemas.events import (
    Event,
    OwnerChanged,
    PlaybackEnded,
    PlaybackHeard,
    PlaybackPaused,
    PlaybackResumed,
    SentenceReady,
    SessionStarted,
    TextCompleted,
    TextDelta,
    TurnCompleted,
    TurnFailed,
    TurnRequested,
    TurnResumed,
    TurnStarted,
    TurnStopped,
    payload,
)
from schemas.events import voice_events as voice
from schemas.events.recorded import Recorded
from schemas.events.turn_events import (
    AudioChunk,
    SentenceCompleted,
    SentenceFailed,
    SentenceSkipped,
    SentenceVoiced,
)
from schemas.ids import NO_TURN, Seq, SessionId, TurnId, new_session_id
from schemas.settings import SessionSettings

SETTINGS = SessionSettings()
BEGAN_MS = 1_800_000_000_000
Draw = Callable[[st.SearchStrategy[Any]], Any]


class Telling:
    """A session's events, each a little later than the one before."""

    def __init__(self, started: SessionStarted | None = None) -> None:
        self.session: SessionId = new_session_id(BEGAN_MS - 1)
        self.events: list[Recorded] = []
        self.now_ms = BEGAN_MS
        self.tell(started or SessionStarted(settings=SETTINGS))

    def tell(self, event: Event, turn: int = NO_TURN, *, after_ms: int = 0) -> TurnId:
        self.now_ms += after_ms
        seq = Seq(len(self.events) + 1)
        self.events.append(Recorded(seq, self.now_ms, TurnId(turn), event.type, event.v, payload(event)))
        return TurnId(seq)

    def ask(self, **more: Any) -> TurnId:
        wish = {"kind": "prompt", "text": "Is it so?", "settings": SETTINGS} | more
        return self.tell(TurnRequested(**wish))

    def sentence(self, turn: int, number: int, at_ms: int, *, ms: int = 400, after_ms: int = 0) -> int:
        """One sentence in two pieces; where the next one begins."""
        self.tell(
            SentenceVoiced(sentence=number, voice="v", at_ms=at_ms, ttfb_ms=40.5), turn, after_ms=after_ms
        )
        for chunk in (0, 1):
            half = AudioChunk(
                sentence=number, chunk=chunk, at_ms=at_ms + chunk * ms // 2, ms=ms // 2, bytes=9
            )
            self.tell(half, turn)
        self.tell(SentenceCompleted(sentence=number, at_ms=at_ms, ms=ms, made_ms=ms / 4), turn)
        return at_ms + ms


@st.composite
def tellings(draw: Draw) -> Telling:
    """Several turns at a time, cut off, taken over, held, heard: whatever the log takes."""
    story = Telling()
    open_turns: list[TurnId] = []
    turns: list[TurnId] = []
    for step in draw(st.lists(st.integers(0, 15), max_size=100)):
        after_ms = draw(st.integers(0, 900))
        story.now_ms += after_ms
        if step == 0 or not turns:
            kind = draw(st.sampled_from(["prompt", "text"]))
            spoken = {"input": "i", "utterances": (draw(st.integers(0, 2)),)} if draw(st.booleans()) else {}
            turns.append(story.ask(kind=kind, **spoken))
            open_turns.append(turns[-1])
        elif step <= 3:
            story.tell(_of_nobody(draw, step))
        elif step == 4 and open_turns:
            story.tell(_end(draw), open_turns.pop(draw(st.integers(0, len(open_turns) - 1))))
        elif step <= 6:
            heard = draw(st.integers(0, 3_000))
            late = PlaybackEnded(heard_ms=heard, underruns=draw(st.integers(0, 3)))
            story.tell(PlaybackHeard(heard_ms=heard) if step == 5 else late, draw(st.sampled_from(turns)))
        elif open_turns:
            story.tell(_of_turn(draw, step), draw(st.sampled_from(open_turns)))
    return story


def _of_nobody(draw: Draw, step: int) -> Event:
    if step == 1:
        return draw(st.sampled_from([PlaybackPaused(), PlaybackResumed(), OwnerChanged(epoch=2, node="n")]))
    utterance = draw(st.integers(0, 2))
    if step == 2:
        return voice.TranscriptFailed(
            input="i", utterance=utterance, mode="realtime", code="engine.busy", message=""
        )
    words = {"text": "so", "mode": "realtime", "engine": "e", "language": "en", "taken": "turn"}
    times = {"start_ms": 0, "end_ms": 900, "after_ms": 120.5, "decode_ms": 80.0}
    return voice.TranscriptFinal(input="i", utterance=utterance, **words, **times)


def _end(draw: Draw) -> Event:
    failed = TurnFailed(stage="text", code="engine.failed", message="no")
    return draw(st.sampled_from([TurnCompleted(sentences=1, audio_ms=9), TurnStopped(reason="user"), failed]))


def _of_turn(draw: Draw, step: int) -> Event:
    at_ms, number = draw(st.integers(0, 5_000)), draw(st.integers(0, 4))
    done = {
        "chars": 5,
        "finish": "stop",
        "tokens_in": 3,
        "tokens_out": 8,
        "ttft_ms": 51.3,
        "provider": "local",
    }
    return [
        TurnStarted(epoch=1),
        TurnResumed(epoch=2, chars=0, sentences=0),
        TextDelta(at=0, text="Well."),
        TextCompleted(**done),
        SentenceReady(sentence=number, start=0, end=5, spoken="Well."),
        SentenceVoiced(sentence=number, voice="v", at_ms=at_ms, ttfb_ms=33.0),
        AudioChunk(sentence=number, chunk=draw(st.integers(0, 2)), at_ms=at_ms, ms=200, bytes=9),
        draw(
            st.sampled_from(
                [
                    SentenceCompleted(sentence=number, at_ms=at_ms, ms=800, made_ms=100.0),
                    SentenceFailed(sentence=number, code="engine.busy", message=""),
                    SentenceSkipped(sentence=number),
                ]
            )
        ),
        TextDelta(at=5, text=" And so on."),
    ][step - 7]
