"""The conversations face, characters: `/v1/characters`."""

from typing import Annotated

from fastapi import APIRouter, Path

from deployments.faces.conversations.thread_views import character_view
from deployments.faces.native.session_routes import Open
from deployments.web.body_limits import BoundedRoute
from deployments.web.resource_access import Caller
from schemas.apps.conversation_messages import ChangeCharacter, CharacterList, CharacterView, CreateCharacter

router = APIRouter(prefix="/v1/characters", tags=["conversations"], route_class=BoundedRoute)
Character = Annotated[str, Path(max_length=64)]


@router.post("", status_code=201)
async def create_character(services: Open, caller: Caller, params: CreateCharacter) -> CharacterView:
    return character_view(await services.characters.create(caller.name, params))


@router.get("")
async def list_characters(services: Open, caller: Caller) -> CharacterList:
    found = await services.characters.all_of(caller.name)
    return CharacterList(characters=tuple(map(character_view, found)))


@router.get("/{character_id}")
async def get_character(services: Open, caller: Caller, character_id: Character) -> CharacterView:
    return character_view(await services.characters.get(caller.name, character_id))


@router.patch("/{character_id}")
async def change_character(
    services: Open, caller: Caller, character_id: Character, params: ChangeCharacter
) -> CharacterView:
    """Threads with the character speak so from their next question on."""
    changed = params.model_dump(exclude_unset=True)
    saved = await services.characters.change(
        caller.name, character_id, lambda before: before.model_copy(update=changed)
    )
    return character_view(saved)


@router.delete("/{character_id}", status_code=204)
async def delete_character(services: Open, caller: Caller, character_id: Character) -> None:
    """Threads with it go on as they are."""
    await services.characters.delete(caller.name, character_id)
