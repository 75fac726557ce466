"""Real voices and texts in many scripts: speech in that language or the marked refusal, never noise."""

from collections.abc import AsyncGenerator, Sequence

import pytest

from pipeline.core.clock import SystemClock
from pipeline.engines.routed_speaker import RoutedSpeaker, open_speaker
from pipeline.engines.tts.piper import PiperTextToSpeech
from pipeline.engines.tts.piper_voice import Voice
from pipeline.eventlog.recorder import Recorder
from pipeline.turn.generation import Engines
from pipeline.turn.turn import Turn, TurnPlan
from schemas.errors import LanguageNotSpoken
from schemas.events import SessionStarted
from schemas.events.recorded import Recorded
from schemas.ids import Seq, TurnId, new_session_id
from schemas.languages import language_name
from schemas.settings import SentenceSettings, SessionSettings, TextToSpeechSettings
from tests.pipeline.engines.tts.sentences_in_scripts import SENTENCES, text_of
from tests.support.eventlog.memory_log import MemoryEventLog

pytestmark = [pytest.mark.anyio, pytest.mark.weights]
TURN = TurnId(2)
EACH = SentenceSettings(min_length=1, first_length=None)
"""Every sentence by itself, however short it is."""


@pytest.fixture
async def speaker(piper: PiperTextToSpeech) -> AsyncGenerator[RoutedSpeaker, None]:
    speaker = await open_speaker(piper, TextToSpeechSettings())
    yield speaker
    await speaker.aclose()


async def read_out(text: str, speaker: RoutedSpeaker, language: str = "en") -> list[Recorded]:
    """The events of a turn that reads the text out in a session of this language."""
    log, session = MemoryEventLog(), new_session_id()
    settings = SessionSettings.model_validate({"language": language, "sentences": EACH})
    async with Recorder(log) as recorder:
        await recorder.post(session, SessionStarted(settings=settings), mode="create")
        writer = recorder.open(session, producer="test", epoch=1)
        plan = TurnPlan(TURN, "text", text, settings)
        turn = Turn(plan, writer, Engines(None, speaker), SystemClock(), sentences_ahead=2)  # type: ignore[arg-type]
        await turn.run(epoch=1)
    return [event for event in await log.read(session, Seq(0)) if event.turn == TURN]


def of(events: Sequence[Recorded], kind: str) -> list[dict[str, object]]:
    return [event.data for event in events if event.type == kind]


async def test_the_packaged_voice_says_which_language_it_speaks(speaker: RoutedSpeaker) -> None:
    assert speaker.providers == {"local": {"joe": ("en-US",)}}


@pytest.mark.parametrize("language", [name for name in SENTENCES if name != "en"])
async def test_ten_sentences_of_another_script_stay_text_and_say_why(
    language: str, speaker: RoutedSpeaker
) -> None:
    events = await read_out(text_of(language), speaker)
    ready = [one["sentence"] for one in of(events, "sentence.ready")]
    failed = of(events, "sentence.failed")
    assert [one["sentence"] for one in failed] == ready != []
    assert {one["code"] for one in failed} == {LanguageNotSpoken.code}
    assert all(language_name(language) in str(one["message"]) for one in failed)
    assert of(events, "audio.chunk") == of(events, "sentence.voiced") == []
    assert events[-1].type == "turn.completed"


async def test_ten_english_sentences_are_spoken(speaker: RoutedSpeaker) -> None:
    events = await read_out(text_of("en"), speaker)
    assert [one["sentence"] for one in of(events, "sentence.completed")] == list(range(10))
    assert of(events, "sentence.failed") == []


async def test_a_sentence_in_another_language_is_left_out_and_the_next_one_is_spoken(
    speaker: RoutedSpeaker,
) -> None:
    text = (
        "The keeper spoke slowly. 今天天气很好，我们去散步吧。 Then he smiled at us. "
        "Das Wetter ist heute sehr schön. He said 你好 and left."
    )
    events = await read_out(text, speaker)
    assert [one["sentence"] for one in of(events, "sentence.completed")] == [0, 2, 4]
    assert [str(one["message"]) for one in of(events, "sentence.failed")] == [
        "No voice here speaks Chinese (zh).",
        "No voice here speaks German (de).",
    ]


async def test_a_text_in_an_automatic_session_is_in_its_own_language(speaker: RoutedSpeaker) -> None:
    events = await read_out(text_of("ru"), speaker, "auto")
    assert {one["message"] for one in of(events, "sentence.failed")} == {"No voice here speaks Russian (ru)."}
    events = await read_out("The keeper spoke slowly, and then he smiled at all of us.", speaker, "auto")
    assert len(of(events, "sentence.completed")) == 1


async def test_a_foreign_word_in_a_sentence_is_not_named_letter_by_letter(joe: Voice) -> None:
    said, named = "He said 你好 and left.", "He said Chinese letter Chinese letter and left."
    assert joe.pronounce(said)[0].sentences == joe.pronounce("He said NiHao and left.")[0].sentences
    assert joe.pronounce(said)[0].sentences != joe.pronounce(named)[0].sentences
