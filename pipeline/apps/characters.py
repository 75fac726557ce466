"""Characters: who a user may talk to. They are events in the user's own session."""

from collections.abc import Callable

from pipeline.apps.users import Users, user_session
from pipeline.core.texts import internal_key
from pipeline.eventlog.event_log import EventLog, Verdict
from pipeline.eventlog.recorder import Recorder
from pipeline.sessions.catalog import Catalog, readable
from schemas.apps.conversation_messages import CreateCharacter
from schemas.errors import CharacterNotFound, StateError
from schemas.errors.retrieval_errors import CollectionNotFound
from schemas.events import CharacterDeleted, CharacterSaved
from schemas.ids import Seq, new_id
from schemas.settings import SessionSettings

MOST = 200
"""Characters of one user; one more is refused."""


class Characters:
    """Commands and queries for a user's characters."""

    def __init__(self, users: Users, log: EventLog, recorder: Recorder, choices: Catalog) -> None:
        self._users = users
        self._log = log
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

    async def saved_at(self, principal: str, character: str) -> Seq:
        """Sequence number of the last change; zero: never changed."""
        return (await self._users.state(principal)).characters_at.get(character, Seq(0))

    async def create(self, principal: str, params: CreateCharacter) -> CharacterSaved:
        """Raises UnknownVoice, CollectionNotFound, or StateError where there are too many."""
        saved = CharacterSaved(character=new_id(), **params.model_dump())
        self._check(saved)
        await self._check_knowledge(saved, (), principal)
        session = await self._users.open(principal)
        if len((await self._users.state(principal)).characters) >= MOST:
            raise StateError(f"{MOST} characters are enough; delete one")
        await self._recorder.post(session, saved, by=principal)
        return saved

    async def change(
        self, principal: str, character: str, decide: Callable[[CharacterSaved], CharacterSaved]
    ) -> CharacterSaved:
        """The character becomes what `decide` makes of it. Of two changes at the same time none is lost: each
        names the state it was decided on, and the log takes only one with that name."""
        while True:
            at = await self.saved_at(principal, character)
            before = await self.get(principal, character)
            wanted = decide(before)
            self._check(wanted)
            await self._check_knowledge(wanted, before.collections, principal)
            if await self._replace(principal, character, at, wanted):
                return wanted

    async def delete(self, principal: str, character: str) -> None:
        """Raises CharacterNotFound. Threads with it go on as they are."""
        at = await self.saved_at(principal, character)
        await self.get(principal, character)
        while not await self._replace(principal, character, at, CharacterDeleted(character=character)):
            at = await self.saved_at(principal, character)
            await self.get(principal, character)

    async def _replace(
        self, principal: str, character: str, at: Seq, event: CharacterSaved | CharacterDeleted
    ) -> bool:
        """False: somebody was quicker."""
        key = internal_key("character", character, at)
        by = None if isinstance(event, CharacterDeleted) else principal
        outcome = await self._recorder.post(user_session(principal), event, key=key, by=by)
        return outcome.verdict is Verdict.OK

    async def _check_knowledge(
        self, character: CharacterSaved, before: tuple[str, ...], principal: str
    ) -> None:
        """Raises CollectionNotFound for a new collection that the user may not read."""
        new = [one for one in character.collections if one not in before]
        found = await readable(self._log, new, principal)
        if missing := [one for one in new if one not in found]:
            raise CollectionNotFound(f"there is no collection {missing[0][:80]!r}", field="collections")

    def _check(self, character: CharacterSaved) -> None:
        if character.voice is not None:
            self._choices.check(self._choices.defaults.model_copy(update={"voice": character.voice}))


def as_character(
    saved: CharacterSaved, at: Seq, settings: SessionSettings, otherwise: SessionSettings
) -> SessionSettings:
    """`settings` as this character speaks, saved at `at`; what it does not say is as in `otherwise`."""
    prompt = f"You are {saved.name}." + (f" {saved.persona}" if saved.persona else "")
    return settings.model_copy(
        update={
            "system_prompt": prompt,
            "voice": saved.voice or otherwise.voice,
            "language": saved.language or otherwise.language,
            "collections": saved.collections,
            "character": saved.character,
            "character_seq": at,
        }
    )
