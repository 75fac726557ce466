"""The fate of an utterance follows from the session's events, and from nothing else."""

from dataclasses import dataclass, replace

import pytest

from pipeline.stt.turn_policy import FinalUtterance, decide, interrupts, spoken_over
from schemas.events import (
    AudioChunk,
    SentenceReady,
    SentenceVoiced,
    TextDelta,
    TurnCompleted,
    TurnRequested,
    TurnStarted,
)
from schemas.events.voice_events import InputOpened, PlaybackFlushed, PlaybackHeard, TranscriptFinal
from schemas.ids import TurnId
from schemas.settings import SessionSettings
from schemas.settings.listening_settings import ListeningSettings
from tests.pipeline.session_state.test_conversation import Story

MICROPHONE = "019aa3c6-1b9a-4c3e-8f00-2b1d7a5c9e11"
REPLYING = ListeningSettings()


def said(text: str, *, utterance: int = 0, ends_speech: bool = True) -> FinalUtterance:
    return FinalUtterance(MICROPHONE, utterance, text, "en", ends_speech)


def listening() -> Story:
    story = Story()
    opened = InputOpened(
        input=MICROPHONE, source="microphone", format="pcm16", rate=16_000, settings=REPLYING
    )
    story.tell(opened)
    return story


def asked(story: Story, text: str, *, by: str | None = MICROPHONE) -> TurnId:
    turn = story.tell(TurnRequested(kind="prompt", text=text, settings=SessionSettings(), input=by))
    story.tell(TurnStarted(epoch=1), turn)
    return turn


def answered(story: Story, turn: TurnId, ms: int = 4_000) -> None:
    story.tell(TextDelta(at=0, text="Of course I can."), turn)
    story.tell(SentenceReady(sentence=0, start=0, end=16, spoken="Of course I can."), turn)
    story.tell(SentenceVoiced(sentence=0, voice="joe", at_ms=0), turn)
    story.tell(AudioChunk(sentence=0, chunk=0, at_ms=0, ms=ms, bytes=9), turn)


def kept(story: Story, utterance: int, text: str) -> None:
    story.tell(
        TranscriptFinal(
            input=MICROPHONE,
            utterance=utterance,
            text=text,
            mode="realtime",
            engine="",
            language="en",
            start_ms=0,
            end_ms=900,
            taken="kept",
            after_ms=1,
            decode_ms=1,
        )
    )


def now(story: Story) -> int:
    return story.conversation.latest_ms


def test_a_spoken_sentence_is_asked() -> None:
    story = listening()
    taking = decide(story.conversation, said("Tell me a story."), REPLYING, now(story))
    assert (taking.taken, taking.question, taking.merges) == ("turn", "Tell me a story.", None)


def test_sound_without_words_is_nothing() -> None:
    story = listening()
    assert decide(story.conversation, said(""), REPLYING, now(story)).taken == "nothing"


def test_where_no_reply_is_wanted_it_is_noted() -> None:
    story = listening()
    settings = ListeningSettings(reply=False)
    assert decide(story.conversation, said("Tell me."), settings, now(story)).taken == "noted"


def test_an_utterance_cut_by_its_length_is_asked_with_its_rest() -> None:
    story = listening()
    assert decide(story.conversation, said("Tell me", ends_speech=False), REPLYING, 0).taken == "kept"
    kept(story, 0, "Tell me")
    taking = decide(story.conversation, said("a story.", utterance=1), REPLYING, now(story))
    assert (taking.question, taking.utterances) == ("Tell me a story.", (0, 1))


def test_a_speaker_who_goes_on_before_anything_was_heard_asks_it_all_together() -> None:
    story = listening()
    first = asked(story, "Tell me a story")
    taking = decide(story.conversation, said("about a fox.", utterance=1), REPLYING, now(story))
    assert (taking.taken, taking.question) == ("joined", "Tell me a story about a fox.")
    assert taking.merges == first


def test_once_the_answer_is_heard_the_next_words_are_a_question_of_their_own() -> None:
    story = listening()
    answered(story, asked(story, "Tell me a story"))
    taking = decide(story.conversation, said("Stop.", utterance=1), REPLYING, now(story))
    assert (taking.taken, taking.question) == ("turn", "Stop.")


@pytest.mark.parametrize("ends_speech", [True, False])
def test_distant_speech_over_an_answer_is_no_question(ends_speech: bool) -> None:
    story = listening()
    answered(story, asked(story, "Tell me a story"))
    said_far_away = replace(said("Now the news.", utterance=1, ends_speech=ends_speech), distant=True)
    assert decide(story.conversation, said_far_away, REPLYING, now(story)).taken == "backchannel"


def test_distant_speech_is_a_question_where_no_answer_is_heard() -> None:
    story = listening()
    taking = decide(story.conversation, replace(said("Good evening."), distant=True), REPLYING, now(story))
    assert (taking.taken, taking.question) == ("turn", "Good evening.")


@pytest.mark.parametrize("ends_speech", [True, False])
def test_distant_speech_that_began_over_an_answer_is_no_question(
    ends_speech: bool,
) -> None:
    story = listening()
    turn = asked(story, "Tell me a story")
    answered(story, turn)
    story.tell(TurnCompleted(sentences=1, audio_ms=4_000), turn)
    later = now(story) + 5_000
    assert spoken_over(story.conversation, later) is None
    television = replace(said("Now the news.", utterance=1, ends_speech=ends_speech), distant=True)
    asks = decide(story.conversation, television, REPLYING, later)
    assert asks.taken == ("turn" if ends_speech else "kept")
    began = replace(television, over=turn)
    assert decide(story.conversation, began, REPLYING, later).taken == "backchannel"
    for words in ("Yes.", "of course I can"):  # the second repeats the answer
        answer = replace(said(words, utterance=1), over=turn)
        assert decide(story.conversation, answer, REPLYING, later).taken == "turn"


@pytest.mark.parametrize("by", [None, "019aa3c6-1b9a-4c3e-8f00-2b1d7a5c9e99"])
def test_a_question_of_somebody_else_is_not_gone_on_with(by: str | None) -> None:
    story = listening()
    asked(story, "Tell me a story", by=by)
    taking = decide(story.conversation, said("Good evening."), REPLYING, now(story))
    assert (taking.taken, taking.question) == ("turn", "Good evening.")


def test_a_word_of_agreement_is_one_only_while_somebody_answers() -> None:
    story = listening()
    assert decide(story.conversation, said("Mm-hm."), REPLYING, now(story)).taken == "turn"
    turn = asked(story, "Tell me a story")
    answered(story, turn)
    assert (
        decide(story.conversation, said("Mm-hm.", utterance=1), REPLYING, now(story)).taken == "backchannel"
    )
    assert decide(story.conversation, said("Wait.", utterance=1), REPLYING, now(story)).taken == "turn"


def test_an_answer_that_is_complete_is_heard_until_it_was_played() -> None:
    story = listening()
    turn = asked(story, "Tell me a story")
    answered(story, turn, ms=4_000)
    story.tell(TurnCompleted(sentences=1, audio_ms=4_000), turn)
    begun = story.conversation.turns[turn].first_audio_ms or 0
    assert spoken_over(story.conversation, begun + 3_900) is not None
    assert spoken_over(story.conversation, begun + 4_100) is None
    story.tell(PlaybackHeard(heard_ms=500), turn)
    later = now(story)
    assert spoken_over(story.conversation, later + 3_400) is not None
    assert spoken_over(story.conversation, later + 3_600) is None
    story.tell(PlaybackFlushed(reason="barge_in"), turn)
    assert spoken_over(story.conversation, later) is None


# ---------------------------------------------------------------- speech over an answer


@dataclass
class Words:
    """Words of speech that goes on."""

    understood: str | None
    language: str | None = "en"


@pytest.mark.parametrize(
    ("words", "speech_ms", "stops"),
    [
        (Words("Stop"), 600, True),
        (Words("Wait, please"), 600, True),
        (Words("Stop"), 599, False),
        (Words("Mm-hm"), 3_000, False),
        (Words("Ha ha ha ha"), 3_000, False),
        (Words("Of course I can"), 3_000, False),
        (Words(""), 1_199, False),
        (Words(""), 1_200, True),
        (Words(None), 600, True),
        (None, 600, True),
    ],
)
def test_speech_stops_an_answer_by_its_words(words: Words | None, speech_ms: int, stops: bool) -> None:
    story = listening()
    turn = asked(story, "Can you?")
    answered(story, turn)
    answer = story.conversation.turns[turn]
    assert interrupts(speech_ms, 600, words, answer) is stops


@pytest.mark.parametrize("text", ["Ha ha ha.", "[laughter]", "Of course I can"])
def test_laughter_and_the_answer_itself_are_no_questions(text: str) -> None:
    story = listening()
    answered(story, asked(story, "Can you?"))
    assert decide(story.conversation, said(text, utterance=1), REPLYING, now(story)).taken == "backchannel"


@pytest.mark.parametrize(("heard_ms", "stops"), [(0, False), (29_000, False), (200_000, True), (None, False)])
def test_words_of_another_place_of_a_long_answer_are_no_echo(heard_ms: int | None, stops: bool) -> None:
    story = listening()
    turn = asked(story, "Read all of it.")
    answered(story, turn)
    story.tell(TextDelta(at=16, text=" The lamp is lit."), turn)
    story.tell(SentenceReady(sentence=1, start=17, end=33, spoken="The lamp is lit."), turn)
    story.tell(SentenceVoiced(sentence=1, voice="joe", at_ms=4_000), turn)
    story.tell(AudioChunk(sentence=1, chunk=0, at_ms=4_000, ms=400_000, bytes=9), turn)
    if heard_ms is not None:
        story.tell(PlaybackHeard(heard_ms=heard_ms), turn)
    answer = story.conversation.turns[turn]
    assert interrupts(600, 600, Words("Of course I can"), answer) is stops
    assert not interrupts(600, 600, Words("The lamp is lit"), answer)


def test_the_words_of_an_answer_are_a_question_when_nothing_is_heard() -> None:
    story = listening()
    assert decide(story.conversation, said("Of course I can"), REPLYING, 0).taken == "turn"
