"""A prompt becomes a narrated answer, heard through the native face."""

import httpx
import pytest

from tests.support.clients.native_client import Heard, ask, create, listen_until_over
from tests.support.fixtures.gateway_fixtures import STORY
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio


async def test_a_prompt_becomes_text_and_sentences_and_sound(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    session = await create(http)
    turn = await ask(http, session, prompt="Tell me a story")
    heard = await listen_until_over(app.ws_url, session, turn, audio="opus")
    assert heard.text(turn) == STORY
    assert heard.types(turn)[-1] == "turn.completed"
    sentences = heard.of("sentence.ready", turn)
    assert "".join(STORY[s["data"]["start"] : s["data"]["end"]] for s in sentences) == STORY
    assert len(heard.of("sentence.completed", turn)) == len(sentences) > 3
    assert all(len(heard.audio[c["seq"]]) == c["data"]["bytes"] for c in heard.of("audio.chunk", turn))


async def test_the_first_sentence_sounds_before_the_last_is_written(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    session = await create(http)
    turn = await ask(http, session, prompt="slowly please")
    heard = await listen_until_over(app.ws_url, session, turn)
    types = heard.types(turn)
    assert types.index("audio.chunk") < len(types) - 1 - types[::-1].index("text.delta")


async def test_audio_times_tile_the_turn(app: RunningApp, http: httpx.AsyncClient) -> None:
    session = await create(http)
    turn = await ask(http, session, prompt="Tell me a story")
    heard = await listen_until_over(app.ws_url, session, turn)
    at, words_end = 0, 0
    for chunk in heard.of("audio.chunk", turn):
        assert chunk["data"]["at_ms"] == at
        at += chunk["data"]["ms"]
    for voiced in heard.of("sentence.voiced", turn):
        for word in voiced["data"]["words"]:
            assert words_end <= word["start_ms"] <= word["end_ms"] <= at
            assert STORY[word["start"] : word["end"]].strip()
            words_end = word["start_ms"]
    assert heard.of("turn.completed", turn)[0]["data"]["audio_ms"] == at


async def test_a_given_text_is_read_out_word_for_word(app: RunningApp, http: httpx.AsyncClient) -> None:
    session = await create(http)
    text = "First sentence, as given. Second sentence, as given too."
    turn = await ask(http, session, text=text)
    heard = await listen_until_over(app.ws_url, session, turn)
    assert heard.text(turn) == text
    assert heard.of("text.completed", turn)[0]["data"]["finish"] == "verbatim"
    assert heard.of("audio.chunk", turn)


async def test_a_session_without_speech_gets_text_only(app: RunningApp, http: httpx.AsyncClient) -> None:
    session = await create(http, settings={"speak": False})
    turn = await ask(http, session, prompt="Tell me a story")
    heard = await listen_until_over(app.ws_url, session, turn)
    assert heard.text(turn) == STORY
    assert set(heard.types(turn)) == {
        "turn.requested",
        "turn.started",
        "text.delta",
        "text.completed",
        "turn.completed",
    } - {"turn.requested"}


async def test_turns_run_one_after_the_other_in_the_order_of_their_requests(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    session = await create(http)
    turns = [await ask(http, session, text=f"This is turn number {n}, spoken.") for n in range(3)]
    heard = await listen_until_over(app.ws_url, session, turns[-1])
    over = [event["turn"] for event in heard.events if event["type"] == "turn.completed"]
    assert over == turns


async def test_a_key_makes_a_repeated_request_the_same_turn(app: RunningApp, http: httpx.AsyncClient) -> None:
    session = await create(http)
    first = await ask(http, session, text="Only once, please, thank you.", key="abc")
    again = await ask(http, session, text="Only once, please, thank you.", key="abc")
    assert first == again
    heard = await listen_until_over(app.ws_url, session, first)
    assert len(heard.of("turn.requested")) == 1


async def test_two_listeners_hear_the_same_bytes_whenever_they_come(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    session = await create(http)
    turn = await ask(http, session, prompt="Tell me a story")
    live = await listen_until_over(app.ws_url, session, turn, audio="pcm16")
    late = await listen_until_over(app.ws_url, session, turn, audio="pcm16")
    assert live.events == late.events
    assert live.audio == late.audio


@pytest.mark.parametrize("audio", ["opus", "pcm16", "mp3", "wav"])
async def test_resuming_anywhere_gives_the_same_events_and_the_same_sound(
    app: RunningApp, http: httpx.AsyncClient, audio: str
) -> None:
    session = await create(http)
    turn = await ask(http, session, prompt="Tell me a story")
    whole = await listen_until_over(app.ws_url, session, turn, audio=audio)
    for cut in range(0, len(whole.events) - 1, 3):
        rest = Heard(events=whole.events[:cut])
        await listen_until_over(app.ws_url, session, turn, rest, audio=audio)
        assert rest.events == whole.events
        assert rest.audio == {seq: data for seq, data in whole.audio.items() if seq > cut}


async def test_settings_of_a_turn_and_of_the_session_apply(app: RunningApp, http: httpx.AsyncClient) -> None:
    session = await create(http, settings={"speak": False}, title="Quiet")
    changed = await http.patch(f"/v1/sessions/{session}", json={"settings": {"sentences": {"min_length": 5}}})
    assert changed.status_code == 200
    turn = await ask(http, session, text="Hello. There. You.", settings={"speak": True})
    heard = await listen_until_over(app.ws_url, session, turn)
    wished = heard.of("turn.requested")[0]["data"]["settings"]
    assert (wished["speak"], wished["sentences"]["min_length"]) == (True, 5)
    state = (await http.get(f"/v1/sessions/{session}")).json()
    assert (state["title"], state["settings"]["speak"]) == ("Quiet", False)
    assert [(t["turn"], t["status"], t["answer"]) for t in state["turns"]] == [
        (turn, "completed", "Hello. There. You.")
    ]
