"""Dictionaries, SSML, styles and pauses through the whole gateway."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from schemas.speech_style import PRONUNCIATIONS
from tests.support.clients.native_client import ask, create, listen_until_over
from tests.support.running_app import RunningApp, running_app, scripted_settings
from tests.support.servers.speech_server import FakeSpeechServer

pytestmark = pytest.mark.anyio
SPEECH = "/v1/audio/speech"
NGINX = {"word": "nginx", "respelling": "engine ex"}
TOMATO = '<speak>A ripe <phoneme alphabet="ipa" ph="təˈmeɪtoʊ">tomato</phoneme> lies here.</speak>'


@pytest.fixture(scope="module")
def app(running_remote: FakeSpeechServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    settings = scripted_settings(
        tmp_path_factory.mktemp("marks"),
        session={"pronunciations": [{"word": "Rhapsode", "respelling": "rap soad"}]},
        text_to_speech={"providers": {"cloud": running_remote.given()}},
    )
    with running_app(settings) as running:
        yield running


async def heard_of(app: RunningApp, http: httpx.AsyncClient, text: str, **settings: Any) -> Any:
    session = await create(http)
    turn = await ask(http, session, text=text, settings=settings)
    return await listen_until_over(app.ws_url, session, turn, audio="opus"), turn


def said(heard: Any, turn: int) -> str:
    return " ".join(event["data"]["spoken"] for event in heard.of("sentence.ready", turn))


async def test_dictionaries_of_session_user_and_server_are_one(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    mine = {"pronunciations": [{"word": "psql", "respelling": "pea sequel"}]}
    put = await http.put("/api/tts/settings", json=mine)
    assert put.status_code == 200, put.text
    try:
        heard, turn = await heard_of(app, http, "Rhapsode, psql, nginx.", pronunciations=[NGINX])
        assert said(heard, turn) == "rap soad, pea sequel, engine ex."
        assert (
            "".join(event["data"]["text"] for event in heard.of("text.delta", turn))
            == "Rhapsode, psql, nginx."
        )
        own = [{"word": "psql", "respelling": "pee"}, {"word": "Rhapsode", "respelling": "rap"}]
        heard, turn = await heard_of(app, http, "Rhapsode, psql.", pronunciations=own)
        assert said(heard, turn) == "rap, pee."  # the session's before the user's and the server's
    finally:
        await http.put("/api/tts/settings", json={"pronunciations": []})


async def test_emoji_are_named_where_the_session_wants_it(app: RunningApp, http: httpx.AsyncClient) -> None:
    for setting, words in (("named", "Well done, thumbs up."), ("silent", "Well done.")):
        heard, turn = await heard_of(app, http, "Well done 👍.", emoji=setting)
        assert said(heard, turn) == words


async def test_a_session_lists_all_entries_and_a_patch_replaces_its_own_only(http: httpx.AsyncClient) -> None:
    made = await http.post("/v1/sessions", json={"settings": {"pronunciations": [NGINX]}})
    session = made.json()["session_id"]
    listed = made.json()["settings"]["pronunciations"]
    assert [(one["word"], one["origin"]) for one in listed] == [("nginx", "session"), ("Rhapsode", "server")]
    patched = await http.patch(f"/v1/sessions/{session}", json={"settings": {"pronunciations": []}})
    assert patched.status_code == 200, patched.text
    now = (await http.get(f"/v1/sessions/{session}")).json()["settings"]["pronunciations"]
    assert [one["word"] for one in now] == ["Rhapsode"]


async def test_a_thread_has_the_same_dictionaries_as_a_session(http: httpx.AsyncClient) -> None:
    many = [{"word": f"word {number}", "respelling": "x"} for number in range(PRONUNCIATIONS)]
    for own in ([NGINX], many):
        made = await http.post("/v1/threads", json={"settings": {"pronunciations": own}})
        assert made.status_code == 201, made.text
        session = (await http.get(f"/v1/sessions/{made.json()['id']}")).json()
        listed = session["settings"]["pronunciations"]
        assert [one["origin"] for one in listed] == [*("session" for _ in own), "server"]


@pytest.mark.parametrize(
    ("entry", "code", "field"),
    [
        ({"pattern": "(a", "respelling": "x"}, "pronunciation.pattern", "settings.pronunciations.0.pattern"),
        ({"word": "a"}, "input.invalid", "settings.pronunciations.0"),
        ({"word": "a", "ipa": "1234 漢字"}, "input.invalid", "settings.pronunciations.0.ipa"),
        ({"word": "a", "pattern": "a", "ipa": "a"}, "input.invalid", "settings.pronunciations.0"),
    ],
)
async def test_a_wrong_entry_is_refused_by_its_place(
    http: httpx.AsyncClient, entry: dict[str, str], code: str, field: str
) -> None:
    answer = await http.post("/v1/sessions", json={"settings": {"pronunciations": [entry]}})
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, code, field)


async def test_a_text_in_ssml_is_shown_without_its_marks_and_said_by_them(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    text = (
        '<speak>Wait.<break time="900ms"/> <prosody rate="50%">Slow words.</prosody> '
        'Call <say-as interpret-as="digits">12</say-as>.</speak>'
    )
    heard, turn = await heard_of(app, http, text)
    shown = "".join(event["data"]["text"] for event in heard.of("text.delta", turn))
    assert shown == "Wait. Slow words. Call 12."
    assert said(heard, turn) == "Wait. Slow words. Call one two."
    spans = [event["data"]["ms"] for event in heard.of("sentence.completed", turn)]
    words = [word for event in heard.of("sentence.voiced", turn) for word in event["data"]["words"]]
    assert spans[0] > 900
    slow = next(word for word in words if word["start"] == 6)
    fast = next(word for word in words if word["start"] == 18)
    assert slow["end_ms"] - slow["start_ms"] == 2 * (fast["end_ms"] - fast["start_ms"])


async def test_an_element_that_is_not_taken_is_refused_by_name(http: httpx.AsyncClient) -> None:
    session = await create(http)
    answer = await http.post(
        f"/v1/sessions/{session}/turns", json={"text": "<speak>a<audio src='x'/></speak>"}
    )
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (
        422,
        "ssml.invalid",
        "text",
    )
    assert "<audio>" in answer.json()["detail"]
    spoken = await http.post(
        SPEECH, json={"model": "tts-1", "voice": "alloy", "input": "<speak>a<audio src='x'/></speak>"}
    )
    assert (spoken.status_code, spoken.json()["error"]["param"]) == (400, "input")


async def test_a_voice_without_phonemes_refuses_a_pronunciation_that_must_be_followed(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    heard, turn = await heard_of(app, http, TOMATO)
    [failed] = heard.of("sentence.failed", turn)
    assert failed["data"]["code"] == "voice.element"
    assert "<phoneme>" in failed["data"]["message"]
    spoken = await http.post(SPEECH, json={"model": "tts-1", "voice": "alloy", "input": TOMATO})
    assert (spoken.status_code, spoken.json()["error"]["param"]) == (400, "input")


async def test_wishes_that_a_voice_ignores_are_named_in_the_event(
    app: RunningApp, http: httpx.AsyncClient, remote: FakeSpeechServer
) -> None:
    wish = {"style": "cheerful", "instructions": "Like a pirate."}
    heard, turn = await heard_of(app, http, "The keeper lit the lamp.", **wish)
    [voiced] = heard.of("sentence.voiced", turn)
    assert (voiced["data"]["voice"], voiced["data"]["provider"]) == ("joe", "local")
    assert voiced["data"]["ignored"] == ["style", "instructions"]
    cloud = {"tts_provider": "cloud", "voice": "alto"}
    heard, turn = await heard_of(app, http, "The keeper lit the lamp.", **wish, **cloud)
    [voiced] = heard.of("sentence.voiced", turn)
    assert (voiced["data"]["voice"], voiced["data"]["provider"]) == ("alto", "cloud")
    assert voiced["data"]["ignored"] == []
    assert remote.requests[-1]["instructions"].endswith("with a smile. Like a pirate.")


async def test_pauses_between_sentences_and_paragraphs_are_settings(
    app: RunningApp, http: httpx.AsyncClient
) -> None:
    text = "The keeper lit the lamp. The red fox sat down there.\n\nThen he went to sleep at once."
    pauses = {"sentence_ms": 300, "paragraph_ms": 1_000}
    plain, first = await heard_of(app, http, text, pauses={"sentence_ms": 0, "paragraph_ms": 0})
    heard, turn = await heard_of(app, http, text, pauses=pauses)

    def lengths(of: Any, number: int) -> list[int]:
        return [event["data"]["ms"] for event in of.of("sentence.completed", number)]

    longer = [long - short for long, short in zip(lengths(heard, turn), lengths(plain, first), strict=True)]
    assert longer == pytest.approx([300, 1_000, 300], abs=40)
