"""Whether somebody has finished can be guessed from the words, and who only agrees is known."""

import pytest

from pipeline.stt.turn_hints import (
    Reading,
    TurnSigns,
    Wait,
    end_probability,
    expected_wait,
    is_backchannel,
    is_echo,
    reads_as,
)

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
    ("en", "My extension is 2 4", "unclear"),
    ("en", "My extension is 2", "incomplete"),
    ("en", "Extension 2 4 8 9 thank you", "complete"),
    ("en", "Message from phone number.", "unclear"),
    ("en", "What is your phone number?", "complete"),
    ("en", "I need eggs, milk, some butter.", "unclear"),
    ("en", "I need eggs, milk, and some butter", "complete"),
    ("en", "First, second and third", "complete"),
    ("en", "Yes, I like cats.", "complete"),
    ("en", "Monday. Wednesday.", "unclear"),
    ("en", "I need eggs. Milk. Some butter.", "unclear"),
    ("fr", "Il faut du lait. Du pain.", "unclear"),
    ("es", "Vivo en el 23. Calle Mayor.", "unclear"),
    ("en", "Okay. Stop.", "complete"),
    ("en", "Stop! Now.", "complete"),
    ("en", "Call Dr. Smith.", "complete"),
    ("en", "Is it raining? Tell me.", "complete"),
    ("en", "There is nothing more that I want. Goodnight, Anna.", "complete"),
    ("en", "It is 040.", "unclear"),
    ("es", "Es el 8.7.3.", "unclear"),
    ("fr", "C'est le 873102.", "unclear"),
    ("en", "That makes 3.50.", "complete"),
    ("en", "We sold 1,200.", "complete"),
    ("en", "Set an alarm for 7.", "complete"),
    ("en", "Extension.", "unclear"),
    ("fr", "Le message vient du numéro de téléphone.", "unclear"),
    ("es", "Mensaje del número de teléfono.", "unclear"),
    ("en", "I lost my phone.", "complete"),
    ("en", "Can you tell me? Ah.", "incomplete"),
    ("en", "If I leave at nine.", "incomplete"),
    ("en", "If I leave at nine, I will be late.", "complete"),
    ("en", "To leave the conference.", "incomplete"),
    ("fr", "Pour quitter la conférence.", "incomplete"),
    ("fr", "Poste 2 4 8 9 merci", "complete"),
    ("es", "Si salgo a las nueve.", "incomplete"),
    ("de", "Wenn ich um neun gehe.", "incomplete"),
    ("de", "Vielen Dank", "complete"),
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
def test_a_speaker_who_says_more_wants_to_be_heard(language: str, text: str) -> None:
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


@pytest.mark.parametrize(
    ("reading", "ended", "text_end", "wait"),
    [
        ("complete", 0.9, 0.5, "complete"),
        ("complete", 0.9, 0.05, None),
        ("complete", 0.9, 0.001, "doubtful"),
        ("complete", None, 0.5, "complete"),
        ("unclear", 0.9, 0.3, None),
        ("unclear", 0.1, 0.01, "doubtful"),
        ("incomplete", 0.9, 0.1, "incomplete"),
        ("incomplete", 0.9, 0.99, "complete"),
    ],
)
def test_a_model_that_reads_the_text_weighs_with_the_other_signs(
    reading: Reading, ended: float | None, text_end: float, wait: Wait | None
) -> None:
    assert expected_wait(reading, ended, text_end=text_end) == wait


@pytest.mark.parametrize("reading", ["complete", "unclear", "incomplete"])
def test_every_sign_that_speaks_for_the_end_makes_it_likelier(reading: Reading) -> None:
    steps = [0.0, 0.1, 0.5, 0.9, 1.0]
    by_text = [end_probability(reading, 0.5, text_end) for text_end in steps]
    by_sound = [end_probability(reading, ended, 0.5) for ended in steps]
    assert by_text == sorted(by_text)
    assert by_sound == sorted(by_sound)
    assert 0 < by_text[0] < by_text[-1] < 1


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
