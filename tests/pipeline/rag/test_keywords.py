"""Words as the keyword search sees them."""

import pytest

from pipeline.rag.keywords import asked, language, terms


@pytest.mark.parametrize(
    ("question", "passage", "spoken"),
    [
        ("sourdough breads", "The bread was sour.", "en"),
        ("running", "She runs.", "en"),
        ("Häuser", "Das Haus am See", "de"),
        ("Strasse", "In der Straße war es still.", "de"),
        ("Zuerich", "Der Zug nach Zürich", "de"),
        ("cafe", "The café is closed.", "en"),
        ("MR-8842", "Group gasket MR-8842", "en"),
        ("E-41", "- E-41: the firmware", "en"),
        ("1874", "It was finished in 1874.", "en"),
    ],
)
def test_a_word_is_found_in_its_other_forms(question: str, passage: str, spoken: str) -> None:
    kept = set(terms(passage, "de" if spoken == "de" else "en"))
    assert kept & set(asked(question))


def test_words_that_are_everywhere_are_not_looked_for() -> None:
    assert asked("what is the harvest of the bees?") == asked("harvest bees")


def test_a_question_of_such_words_alone_looks_for_them() -> None:
    assert asked("to be or not to be") != []


@pytest.mark.parametrize("question", ["", "?!", "   ", "\x00"])
def test_a_question_without_words_looks_for_nothing(question: str) -> None:
    assert asked(question) == []


def test_a_language_is_told_by_its_commonest_words() -> None:
    assert language("Der Zug ist nicht mit dem Bus zu verwechseln, und er hat einen Bistrowagen.") == "de"
    assert language("The train is not the bus, and it has a dining car for those who want one.") == "en"
    assert language("12345") == "en"
