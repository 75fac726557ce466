"""A text is read out, and listened to."""

from dataclasses import dataclass

from loadtests.load.person import Person
from loadtests.load.scenarios import texts
from loadtests.load.scenarios.base import Knobs


@dataclass(frozen=True, slots=True)
class Narrate:
    """One text, a few sentences long."""

    knobs: Knobs

    async def play(self, person: Person) -> None:
        async with person.arrived(self.knobs.settings) as line:
            turn = await line.begin(person.first_due(), text=texts.story(person.mark, person.dice))
            await line.finish(turn)
            if self.knobs.listen:
                await line.hear_out(turn)
