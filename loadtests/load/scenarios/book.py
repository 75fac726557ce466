"""A whole book is read out, page by page."""

from dataclasses import dataclass

from loadtests.load.person import Person
from loadtests.load.scenarios import texts
from loadtests.load.scenarios.base import Knobs


@dataclass(frozen=True, slots=True)
class Book:
    """--pages pages in one narration, taken in as fast as they are made."""

    knobs: Knobs

    async def play(self, person: Person) -> None:
        async with person.arrived(self.knobs.settings) as line:
            text = "\n\n".join(texts.page(person.mark, person.dice) for _ in range(self.knobs.pages))
            turn = await line.begin(person.first_due(), text=text)
            limit_s = line.patience_s * max(1, self.knobs.pages)
            await line.until(lambda: line.notes.over(turn), limit_s=limit_s)
            await line.finish(turn)
