"""State that is folded batch by batch equals the state of the whole past."""

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from schemas.events import SettingsChanged, TextDelta, TurnCompleted, TurnFailed, TurnRequested, TurnStarted
from schemas.settings import SessionSettings
from tests.pipeline.session_state.test_conversation import Story

STEPS: Final = ("ask", "start", "say", "complete", "fail", "change")


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 8)), max_size=40))
def test_open_turns_words_and_settings_are_those_that_the_events_say(steps: list[tuple[str, int]]) -> None:
    story, settings = Story(), SessionSettings()
    asked: list[tuple[int, SessionSettings, list[str]]] = []
    for step, number in steps:
        known = story.conversation.turns
        if step == "ask":
            wish = TurnRequested(kind="prompt", text="Hello?", settings=settings)
            asked.append((story.tell(wish), settings, []))
        elif step == "change":
            settings = settings.model_copy(update={"max_tokens": number + 1})
            story.tell(SettingsChanged(settings=settings))
        elif asked:
            turn, _, words = asked[number % len(asked)]
            state = next(one for one in known.values() if one.turn == turn)
            if state.over:
                continue
            match step:
                case "start":
                    story.tell(TurnStarted(epoch=1), state.turn)
                case "say":
                    story.tell(TextDelta(at=0, text=f"{number} "), state.turn)
                    words.append(f"{number} ")
                case "complete":
                    story.tell(TurnCompleted(sentences=0, audio_ms=0), state.turn)
                case "fail":
                    failed = TurnFailed(stage="owner", code="owner.lost", message="gone", retryable=True)
                    story.tell(failed, state.turn)
    conversation = story.conversation
    everything = list(conversation.turns.values())
    assert conversation.unfinished == [turn for turn in everything if not turn.over]
    assert conversation.waiting == [turn for turn in everything if turn.status == "requested"]
    assert conversation.running == next((turn for turn in everything if turn.status == "running"), None)
    assert conversation.settings == settings
    told = [(turn.turn, turn.settings, turn.answer) for turn in everything]
    assert told == [(turn, wish, "".join(words)) for turn, wish, words in asked]
