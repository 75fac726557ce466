"""Whether somebody has finished can be guessed from the words, and who only agrees is known."""

import pytest

from pipeline.stt.turn_hints import Reading, TurnSigns, Wait, expected_wait, is_backchannel, is_echo, reads_as

READINGS: list[tuple[str, str, Reading]] = [
    ("en", "What is the capital of France?", "complete"),
    ("en", "Tell me a story about a dragon.", "complete"),
    ("en", "Stop!", "complete"),
    ("en", "Yes.", "complete"),
    ("en", "I was born in 1984.", "complete"),
    ("en", "I want that one.", "complete"),
    ("en", 'She said "go home."', "complete"),
    ("en", "Where are you from?", "complete"),
    ("en", "And?", "complete"),
    ("en", "Tell me a story and.", "incomplete"),
    ("en", "Tell me a story and", "incomplete"),
    ("en", "I would like the.", "incomplete"),
    ("en", "I think it is because", "incomplete"),
    ("en", "It is, um...", "incomplete"),
    ("en", "Well,", "incomplete"),
    ("en", "Let me think –", "incomplete"),
    ("en", "Let me think…", "incomplete"),
    ("en", "There are many, such as.", "incomplete"),
    ("en", "It is kind of.", "incomplete"),
    ("en", "I want to talk about", "incomplete"),
    ("en", "That's what I think about.", "unclear"),
    ("en", "I think so.", "unclear"),
    ("en", "Tell me a story", "unclear"),
    ("en", "My number is five five.", "incomplete"),
    ("en", "My phone number is 0-1-7.", "incomplete"),
    ("en", "My number is 555 0123.", "unclear"),
    ("en", "five five", "unclear"),
    ("en", "", "unclear"),
    ("en", "...", "unclear"),
    ("de", "Wie heißt du?", "complete"),
    ("de", "Erzähl mir eine Geschichte.", "complete"),
    ("de", "Mach das Licht an.", "unclear"),
    ("de", "Ich möchte, dass", "incomplete"),
    ("de", "Ich möchte einen.", "incomplete"),
    ("de", "Das heißt.", "incomplete"),
    ("de", "Ich gehe und", "incomplete"),
    ("de", "Ich weiß nicht, ähm.", "incomplete"),
    ("de", "Meine Nummer ist drei fünf.", "incomplete"),
    ("de-AT", "Für.", "incomplete"),
    ("de", "Ich will dorthin", "unclear"),
    ("fr", "Où est la gare ?", "complete"),
    ("fr", "La gare est là.", "complete"),
    ("fr", "La gare,", "incomplete"),
    ("fr", "Vous avez deux messages et...", "incomplete"),
    ("fr", "Je voudrais parler à l'", "incomplete"),
    ("fr", "Je voudrais parler de.", "incomplete"),
    ("fr", "Mon numéro est cinq deux.", "incomplete"),
    ("es", "¿Dónde está la estación?", "complete"),
    ("es", "Cierra la puerta.", "complete"),
    ("es", "Quiero un billete para", "incomplete"),
    ("es", "Usted tiene siete mensajes y.", "incomplete"),
    ("es", "Mi número es cinco dos.", "incomplete"),
    ("nl", "Het station is daar.", "unclear"),
    ("ja", "今日は、", "incomplete"),
]


@pytest.mark.parametrize(("language", "text", "reading"), READINGS)
def test_a_text_reads_as(language: str, text: str, reading: Reading) -> None:
    assert reads_as(text, language) == reading


@pytest.mark.parametrize("text", ["Tell me a story and.", "TELL ME A STORY AND.", "tell me a story and"])
def test_case_says_nothing(text: str) -> None:
    assert reads_as(text, "en") == "incomplete"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Mm-hm."),
        ("en", "Mhm"),
        ("en", "Uh-huh, uh-huh."),
        ("en", "Hmm..."),
        ("en", "Yeah."),
        ("en", "Yeah, yeah, right."),
        ("en", "Okay. I see."),
        ("en", "Got it!"),
        ("de", "Ja, genau."),
        ("de", "Hm."),
        ("de", "Ach so."),
        ("de", "Alles klar!"),
        ("", "Okay, ja."),
        ("nl", "Ja."),
        ("fr", "Oui, d'accord."),
        ("fr", "Ah bon."),
        ("es", "Sí, claro."),
        ("es", "De acuerdo."),
    ],
)
def test_a_word_of_agreement_is_no_interruption(language: str, text: str) -> None:
    assert is_backchannel(text, language)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", ""),
        ("en", "..."),
        ("en", "Stop."),
        ("en", "Wait."),
        ("en", "No."),
        ("en", "Yeah, but why?"),
        ("en", "Okay, stop."),
        ("en", "I"),
        ("en", "Hm, what?"),
        ("de", "Nein."),
        ("de", "Halt!"),
        ("de", "Ja, aber"),
        ("de", "Warte mal."),
        ("fr", "Oui, mais"),
        ("fr", "Attends."),
        ("es", "Espera."),
        ("es", "Sí, pero"),
    ],
)
def test_whoever_says_more_wants_to_be_heard(language: str, text: str) -> None:
    assert not is_backchannel(text, language)


@pytest.mark.parametrize(
    ("reading", "ended", "wait"),
    [
        ("complete", None, "complete"),
        ("unclear", None, None),
        ("incomplete", None, "incomplete"),
        ("complete", 0.9, "complete"),
        ("complete", 0.1, None),
        ("unclear", 0.9, None),
        ("unclear", 0.1, "doubtful"),
        ("incomplete", 0.9, "incomplete"),
        ("incomplete", 0.1, "incomplete"),
    ],
)
def test_text_and_sound_together_say_how_long_to_wait(
    reading: Reading, ended: float | None, wait: Wait | None
) -> None:
    assert expected_wait(reading, ended) == wait


def test_a_hint_is_told_when_it_changes_and_never_after_the_silence() -> None:
    told: list[Wait | None] = []
    signs = TurnSigns(told.append)
    signs.heard(0.1)
    signs.heard(0.2)
    signs.read("complete")
    signs.heard(0.9)
    signs.drop()
    signs.read("incomplete")
    assert told == ["doubtful", None, "complete"]


@pytest.mark.parametrize(
    "text",
    ["Ha ha ha!", "Hahaha.", "Hehehe", "[laughter]", "(coughs)", "*sighs*", "♪ music ♪", "[laughs] Yeah."],
)
def test_laughter_and_noises_want_no_answer(text: str) -> None:
    assert is_backchannel(text, "en")


@pytest.mark.parametrize("text", ["Ha, what?", "(laughs) No, stop.", "He has it.", "Hi!", "[music] Wait."])
def test_words_beside_a_noise_count(text: str) -> None:
    assert not is_backchannel(text, "en")


ANSWER = "The old keeper lived in a lighthouse at the edge of the sea. Do you want the blue one or the red?"


@pytest.mark.parametrize(
    ("text", "echo"),
    [
        ("The old keeper lived in a lighthouse", True),
        ("lived in a white house at the edge of the sea", True),
        ("The blue one.", False),
        ("or the red please", False),
        ("Who was the old keeper of the lighthouse?", False),
        ("Stop, stop, stop, stop.", False),
        ("Wait, did he live at the edge of the sea alone?", False),
    ],
)
def test_an_echo_repeats_what_is_heard(text: str, echo: bool) -> None:
    assert is_echo(text, ANSWER) is echo


def test_an_answer_that_is_doubted_is_no_echo() -> None:
    assert not is_echo("At the edge of the sea?", "He lived at the edge of the sea.")
