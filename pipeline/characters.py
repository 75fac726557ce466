"""Characters: who a user may talk to. They are facts in the user's own session."""

from collections.abc import Callable

from pipeline.choices import Choices
from pipeline.keys import internal_key
from pipeline.log.base import Verdict
from pipeline.log.recorder import Recorder
from pipeline.users import Users, user_session
from schemas.conversations import CreateCharacter
from schemas.errors import CharacterNotFound, StateError
from schemas.events import CharacterDeleted, CharacterSaved
from schemas.ids import new_id
from schemas.settings import SessionSettings

MOST = 200
"""Characters of one user; one more is refused."""


class Characters:
    """What users do with their characters."""

    def __init__(self, users: Users, recorder: Recorder, choices: Choices) -> None:
        self._users = users
        self._recorder = recorder
        self._choices = choices

    async def all_of(self, principal: str) -> list[CharacterSaved]:
        """In the order of their making."""
        return list((await self._users.state(principal)).characters.values())

    async def get(self, principal: str, character: str) -> CharacterSaved:
        """Raises CharacterNotFound."""
        found = (await self._users.state(principal)).characters.get(character)
        if found is None:
            raise CharacterNotFound(f"there is no character {character[:80]}", field="character")
        return found

    async def create(self, principal: str, wish: CreateCharacter) -> CharacterSaved:
        """Raises UnknownVoice, or StateError where there are too many."""
        saved = CharacterSaved(character=new_id(), **wish.model_dump())
        self._check(saved)
        session = await self._users.open(principal)
        if len((await self._users.state(principal)).characters) >= MOST:
            raise StateError(f"{MOST} characters are enough; delete one")
        await self._recorder.post(session, saved)
        return saved

    async def change(
        self, principal: str, character: str, decide: Callable[[CharacterSaved], CharacterSaved]
    ) -> CharacterSaved:
        """The character becomes what `decide` makes of it. Of two changes at the same time none is lost: each
        names the state it was decided on, and the log takes only one with that name."""
        while True:
            state = await self._users.state(principal)
            before = await self.get(principal, character)
            wanted = decide(before)
            self._check(wanted)
            key = internal_key("character", character, state.head)
            outcome = await self._recorder.post(user_session(principal), wanted, key=key)
            if outcome.verdict is Verdict.OK:
                return wanted

    async def delete(self, principal: str, character: str) -> None:
        """Raises CharacterNotFound. Threads with it go on as they are."""
        await self.get(principal, character)
        await self._recorder.post(user_session(principal), CharacterDeleted(character=character))

    def _check(self, character: CharacterSaved) -> None:
        if character.voice is not None:
            self._choices.check(self._choices.defaults.model_copy(update={"voice": character.voice}))


def as_character(saved: CharacterSaved, base: SessionSettings) -> SessionSettings:
    """`base` as this character speaks."""
    told = f"You are {saved.name}." + (f" {saved.persona}" if saved.persona else "")
    return base.model_copy(
        update={
            "system_prompt": told,
            "voice": saved.voice or base.voice,
            "language": saved.language or base.language,
            "collections": saved.collections or base.collections,
            "character": saved.character,
        }
    )
