"""Of an interrupted answer the language model is told what was heard of it, word for word."""

from pipeline.session_state.llm_context import history
from schemas.events import (
    AudioChunk,
    SentenceReady,
    SentenceVoiced,
    TextDelta,
    TurnCompleted,
    TurnRequested,
    TurnStopped,
    TurnStopRequested,
)
from schemas.events.turn_events import SentenceCompleted, Word
from schemas.events.voice_events import PlaybackFlushed, PlaybackHeard
from schemas.ids import TurnId
from schemas.settings import SessionSettings
from tests.pipeline.session_state.test_conversation import Story

ANSWER = "It is a fine day. The road is dry."
FIRST, SECOND = (0, 18), (18, 34)


def words(start: int, text: str, at_ms: int) -> tuple[Word, ...]:
    """Each word takes 200 ms."""
    found, at = [], start
    for number, word in enumerate(text.split()):
        begin = ANSWER.index(word, at)
        at = begin + len(word)
        found.append(
            Word(start=begin, end=at, start_ms=at_ms + 200 * number, end_ms=at_ms + 200 * (number + 1))
        )
    return tuple(found)


def half_spoken() -> tuple[Story, TurnId]:
    """Two sentences of one second each, of which the second one is still being made."""
    story = Story()
    turn = story.tell(TurnRequested(kind="prompt", text="How is it?", settings=SessionSettings()))
    story.tell(TextDelta(at=0, text=ANSWER), turn)
    for number, (start, end) in enumerate((FIRST, SECOND)):
        text, at_ms = ANSWER[start:end], 1_000 * number
        story.tell(SentenceReady(sentence=number, start=start, end=end, spoken=text), turn)
        voiced = SentenceVoiced(sentence=number, voice="joe", at_ms=at_ms, words=words(start, text, at_ms))
        story.tell(voiced, turn)
        story.tell(AudioChunk(sentence=number, chunk=0, at_ms=at_ms, ms=1_000 - 500 * number, bytes=9), turn)
        if number == 0:
            story.tell(SentenceCompleted(sentence=0, at_ms=0, ms=1_000), turn)
    return story, turn


def interrupted(heard_ms: int | None) -> str:
    """Text of the interrupted answer, as the next turn gets it."""
    story, turn = half_spoken()
    story.tell(PlaybackFlushed(reason="barge_in"), turn)
    if heard_ms is not None:
        story.tell(PlaybackHeard(heard_ms=heard_ms), turn)
    story.tell(TurnStopped(reason="barge_in"), turn)
    following = story.tell(TurnRequested(kind="prompt", text="And then?", settings=SessionSettings()))
    told = history(story.conversation, before=following, room=4_000)
    return told[1].content if told else ""


def test_words_that_were_not_heard_are_left_out() -> None:
    assert interrupted(430) == "It is —"
    assert interrupted(1_250) == "It is a fine day. The —"


def test_a_sentence_that_was_heard_to_its_end_is_whole() -> None:
    assert interrupted(1_000) == "It is a fine day. —"


def test_of_an_answer_of_which_nothing_was_heard_the_question_is_known() -> None:
    assert interrupted(0) == interrupted(100) == "—"
    story, turn = half_spoken()
    story.tell(PlaybackFlushed(reason="barge_in"), turn)
    story.tell(PlaybackHeard(heard_ms=100), turn)
    story.tell(TurnStopped(reason="barge_in"), turn)
    following = story.tell(TurnRequested(kind="prompt", text="And then?", settings=SessionSettings()))
    told = history(story.conversation, before=following, room=4_000)
    assert [message.content for message in told] == ["How is it?", "—"]


def test_a_question_that_was_asked_again_with_more_words_is_told_once() -> None:
    story, turn = half_spoken()
    story.tell(PlaybackFlushed(reason="merged"), turn)
    story.tell(PlaybackHeard(heard_ms=0), turn)
    story.tell(TurnStopRequested(reason="merged"), turn)
    story.tell(TurnStopped(reason="merged"), turn)
    following = story.tell(TurnRequested(kind="prompt", text="How is it here?", settings=SessionSettings()))
    assert history(story.conversation, before=following, room=4_000) == ()


def test_a_user_who_has_heard_enough_of_what_is_complete_has_been_told_all_of_it() -> None:
    story, turn = half_spoken()
    story.tell(TurnCompleted(sentences=2, audio_ms=1_500), turn)
    story.tell(PlaybackHeard(heard_ms=430), turn)
    story.tell(PlaybackFlushed(reason="stopped"), turn)
    following = story.tell(TurnRequested(kind="prompt", text="And then?", settings=SessionSettings()))
    told = history(story.conversation, before=following, room=4_000)
    assert told[1].content == ANSWER


def test_where_nobody_said_what_was_heard_all_of_it_counts() -> None:
    assert interrupted(None) == ANSWER


def test_an_answer_that_nobody_interrupted_counts_whole_however_little_was_acknowledged() -> None:
    story, turn = half_spoken()
    story.tell(PlaybackHeard(heard_ms=100), turn)
    assert story.conversation.turns[turn].heard_answer == ANSWER


def test_listeners_who_are_behind_take_nothing_back() -> None:
    story, turn = half_spoken()
    story.tell(PlaybackHeard(heard_ms=900), turn)
    story.tell(PlaybackHeard(heard_ms=300), turn)
    assert story.conversation.turns[turn].heard_ms == 900
