"""What a speaker wants of its input, beside being heard."""

from dataclasses import dataclass, field
from typing import Literal

import anyio

Command = Literal["commit", "clear", "close"]


@dataclass(eq=False)
class Order:
    """A command on its way, behind the sound that came before it."""

    command: Command
    over: anyio.Event = field(default_factory=anyio.Event)
    obeyed: bool = False
    """What follows from it is in the log."""

    async def obey(self) -> None:
        self.obeyed = True
        self.over.set()
