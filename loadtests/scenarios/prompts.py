"""Prompts and texts. Each carries the caller's mark. Pure."""

import random
from typing import Final

_THINGS: Final = (
    *("the sea", "the first lighthouse", "a fox in the snow", "the weight of a cloud", "bread"),
    *("a bridge that sings", "night trains", "the colour of rain"),
)
_SENTENCES: Final = (
    "Every evening the lamp was lit before the fog came in.",
    "Nobody knew who had built the stairs, but everybody used them.",
    "A small boat went by without a sound.",
    "In the morning the birds were back, and so was the baker.",
    "The letter had been written with a pencil, in a hurry.",
    "Some things are heavier on the way home.",
    "The clock in the hall was five minutes fast, as it had always been.",
    "He counted the waves until he fell asleep.",
)
_PAGE_SENTENCES: Final = 32
"""About 1,700 characters: a page."""
STORY: Final = (
    "An old keeper lived in a lighthouse at the edge of the sea. Every evening he climbed the stairs "
    "and lit the lamp. One night a small fox came to his door, wet and shivering from the storm. "
    "He let it in, and they sat by the fire until morning. From that day on the keeper was never alone."
)
"""Answer of scripted engines whose costs are measured."""
DICE: Final = random.Random()
"""For who need not be the same again."""


def question(mark: str, dice: random.Random) -> str:
    return f"My name is {mark}. Tell me about {dice.choice(_THINGS)}, and call me {mark}."


def story(mark: str, dice: random.Random, sentences: int = 4) -> str:
    """To be read out; begins with a short sentence, as stories do."""
    told = " ".join(dice.choice(_SENTENCES) for _ in range(sentences))
    return f"This is for {mark}. {told} Good night, {mark}."


def page(mark: str, dice: random.Random) -> str:
    return story(mark, dice, _PAGE_SENTENCES)
