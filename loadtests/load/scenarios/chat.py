"""A conversation: ask, listen to the answer, think, ask again."""

from dataclasses import dataclass

from loadtests.load.person import Person
from loadtests.load.scenarios import texts
from loadtests.load.scenarios.base import Knobs


@dataclass(frozen=True, slots=True)
class Chat:
    """Several questions, whose answers are listened to and thought about."""

    knobs: Knobs

    async def play(self, person: Person) -> None:
        async with person.arrived(self.knobs.settings) as line:
            due_s = person.first_due()
            for asked in range(self.knobs.turns):
                if asked:
                    due_s = await person.think(line, self.knobs.think_s)
                turn = await line.begin(due_s, prompt=texts.question(person.mark, person.dice))
                await line.finish(turn)
                if self.knobs.listen:
                    await line.hear_out(turn)
