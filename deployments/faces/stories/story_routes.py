"""The stories face: stories, scenes, and a scene that is heard while it is being written."""

import base64
from contextlib import aclosing, suppress
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response, WebSocket
from starlette.convertors import IntegerConvertor, register_url_convertor

from deployments.container import GatewayContainer
from deployments.faces.conversations.json_socket import JsonSocket, conversing
from deployments.faces.forms.form_bodies import form_or_json, schema_of
from deployments.faces.native.session_routes import Open, erase
from deployments.faces.stories.scene_translator import FORMAT, SceneMessages, TranslatedScene
from deployments.web.idempotency_key import IdempotencyKey, keyed
from deployments.web.json_lists import as_they_are, listed
from deployments.web.resource_access import Caller, owns
from pipeline.apps.narrations import Scene, SceneId
from pipeline.apps.stories import premise_of
from pipeline.auth.principals import Principal
from pipeline.delivery.listener import Listening
from pipeline.eventlog.event_log import Head
from pipeline.session_state.conversation import Conversation, current_turns
from pipeline.session_state.turn_state import NarrationState, TurnState
from schemas.apps.story_messages import (
    CreateScene,
    CreateStory,
    NarrationView,
    SceneStream,
    SceneView,
    SocketCommand,
    StoryView,
    StreamScene,
)
from schemas.errors import CursorAhead, InputError, SceneNotFound, SessionGone, SessionNotFound
from schemas.ids import Seq, SessionId, TurnId, is_digits, parse_session_id
from schemas.native.client_commands import Control


class _SceneNumber(IntegerConvertor):
    """Numbers of one to nine digits: int() refuses those of more than 4,300."""

    regex = "[0-9]{1,9}"


register_url_convertor("scene_number", _SceneNumber())
router = APIRouter(tags=["stories"])


SeenStory = tuple[SessionId, Conversation, Head]


async def seen_story(services: Open, caller: Caller, story_id: str) -> SeenStory:
    """The path's story. Raises SessionNotFound for what is none, or somebody else's."""
    story = parse_session_id(story_id)
    if story is None:
        raise SessionNotFound(f"there is no story {story_id[:80]!r}", field="story_id")
    conversation, head = await services.stories.story(story)
    if not owns(caller, conversation.principal):
        raise SessionNotFound(f"there is no story {story}", field="story_id")
    return story, conversation, head


Story = Annotated[SeenStory, Depends(seen_story)]
SceneParams = Annotated[CreateScene, Depends(form_or_json(CreateScene))]
StreamParams = Annotated[StreamScene, Depends(form_or_json(StreamScene))]
StoryParams = Annotated[CreateStory, Depends(form_or_json(CreateStory))]


async def known_scene(services: GatewayContainer, caller: Principal, scene_id: str) -> Scene:
    """Raises SceneNotFound for what is none, or somebody else's."""
    scene = await services.narrations.scene(SceneId.parse(scene_id))
    if not owns(caller, scene.story.principal):
        raise SceneNotFound(f"there is no scene {scene_id}", field="scene_id")
    return scene


def socket_url(request: Request, path: str) -> str:
    """Returns the address of a WebSocket for a client of this request."""
    scheme = "wss" if request.url.scheme in ("https", "wss") else "ws"
    return f"{scheme}://{request.url.netloc}{path}"


@router.post("/api/stories", status_code=201, openapi_extra=schema_of(CreateStory))
async def create_story(services: Open, caller: Caller, params: StoryParams) -> StoryView:
    story = await services.stories.create(params, caller.name)
    conversation, _ = await services.stories.story(story)
    return _story_view(story, conversation)


@router.get("/api/stories/{story_id}", response_model=StoryView)
async def get_story(request: Request, known: Story) -> Response:
    story, conversation, _ = known
    scenes = current_turns(conversation)
    numbers = {state.turn: number for number, state in enumerate(scenes, 1)}

    def scene(state: TurnState) -> SceneView:
        return _scene_view(story, numbers[state.turn], conversation, state)

    told = as_they_are(scenes, scene)
    return await listed(request, _story_view(story, conversation), "scenes", told, conversation)


@router.delete("/api/stories/{story_id}", status_code=204)
async def delete_story(services: Open, known: Story) -> None:
    """Erase the story with all its scenes and what was narrated of them."""
    story, conversation, _ = known
    made = [name for state in conversation.narrations.values() for name in (*state.earlier, state.session)]
    for narration in dict.fromkeys(made):
        with suppress(SessionGone, SessionNotFound):
            if await _is_of(services, narration, story):
                await erase(services, narration)
    await erase(services, story)


async def _is_of(services: GatewayContainer, narration: SessionId, story: SessionId) -> bool:
    """A fork's may be those of the story that it comes from. One that is gone is: perhaps not for good."""
    try:
        narration_view, _ = await services.sessions.view(narration)
    except SessionGone:
        return True
    return narration_view.parent == story


@router.post(
    "/api/stories/{story_id}/scenes",
    status_code=201,
    responses={202: {"model": SceneView, "description": "With wait=false: it is being written."}},
    openapi_extra=schema_of(CreateScene),
)
async def create_scene(
    services: Open,
    known: Story,
    params: SceneParams,
    response: Response,
    wait: bool = True,
    idempotency_key: IdempotencyKey = None,
) -> SceneView:
    """Write one scene; answers when it is complete, or at once with `wait=false`.

    Where the user's settings say so it is narrated afterwards, in the background.
    """
    story, _, seen = known
    scene_id = await services.stories.write(story, keyed(params, idempotency_key), seen)
    if not wait:
        response.status_code = 202
        return scene_view(await services.narrations.scene(scene_id))
    return scene_view(await services.stories.until_over(scene_id))


@router.get("/api/stories/{story_id}/scenes/{number:scene_number}")
async def get_scene(known: Story, number: int) -> SceneView:
    story, conversation, _ = known
    scenes = current_turns(conversation)
    if not 1 <= number <= len(scenes):
        raise SceneNotFound(f"the story has no scene {number}", field="number")
    return _scene_view(story, number, conversation, scenes[number - 1])


@router.post("/api/stories/{story_id}/scenes/generate-with-tts-stream", openapi_extra=schema_of(StreamScene))
async def generate_with_tts_stream(
    services: Open,
    known: Story,
    request: Request,
    params: StreamParams,
    idempotency_key: IdempotencyKey = None,
) -> SceneStream:
    """Begin a scene that is heard while it is being written; the answer says where."""
    story, _, seen = known
    scene_id = str(await services.stories.write(story, keyed(params, idempotency_key), seen))
    path = f"/ws/scene-generation/{scene_id}"
    return SceneStream(session_id=scene_id, websocket_url=socket_url(request, path))


@router.websocket("/ws/scene-generation/{session_id}")
async def scene_generation(websocket: WebSocket, session_id: str, caller: Caller, after: str = "0") -> None:
    """The scene as it is being made, from its beginning, or after the last `seq` that the client has.

    Closing the socket only ends the listening. Commands: pause, resume, skip, stop.
    """
    services: GatewayContainer = websocket.app.state.services

    async def execute(command: SocketCommand) -> None:
        scene = await known_scene(services, caller, session_id)
        await control(services, scene.id.story, scene.id.turn, command)

    async with conversing(websocket, execute) as socket:
        scene_id = (await known_scene(services, caller, session_id)).id
        head = (await services.sessions.attend(scene_id.story))[1]
        begin = _place(after, head)
        await socket.send({"type": "connected", "session_id": session_id})
        await _send_messages(socket, services, caller, scene_id, head, begin)
        await socket.close()


def _place(after: str, head: Head) -> Seq:
    """Raises InputError or CursorAhead."""
    if not is_digits(after):
        raise InputError("after is the seq of the last message that you have", field="after")
    if int(after) > head.seq:
        raise CursorAhead(f"there is no message {int(after)} yet", field="after")
    return Seq(int(after))


async def _send_messages(
    socket: JsonSocket,
    services: GatewayContainer,
    caller: Principal,
    scene_id: SceneId,
    head: Head,
    after: Seq,
) -> None:
    """Every message of the scene after `after`, until its end."""
    messages = SceneMessages(str(scene_id), scene_id.turn)
    listener = services.listener()
    params = Listening(after=Seq(scene_id.turn), audio=True, buffer=services.settings.limits.listener_buffer)
    async with aclosing(listener.listen(scene_id.story, head, params)) as batches:
        async for batch in batches:
            for recorded in batch:
                narrated = messages.take(recorded)
                if narrated is not None and narrated.seq > after:
                    await socket.send(await _whole(services, caller, narrated))
            if messages.over:
                return


async def _whole(
    services: GatewayContainer, caller: Principal, narrated: TranslatedScene
) -> dict[str, object]:
    message = {**narrated.message, "seq": narrated.seq}
    if narrated.sound:
        sound = await services.sentences.encode(caller.name, FORMAT, narrated.sound)
        message["audio"] = base64.b64encode(sound).decode()
    return message


async def control(
    services: GatewayContainer, session: SessionId, turn: TurnId, command: SocketCommand
) -> None:
    """Pause, resume, skip or stop on behalf of a socket. Raises InputError for what does not belong there."""
    if command.type not in ("pause", "resume", "skip", "stop"):
        raise InputError(f"{command.type!r} means nothing here", field="type")
    sentence = command.sentence if command.type == "skip" else None
    about = turn if command.type in ("skip", "stop") else None
    await services.sessions.control(session, Control(action=command.type, turn=about, sentence=sentence))


def _story_view(story: SessionId, conversation: Conversation) -> StoryView:
    """The story without its scenes."""
    return StoryView(
        id=story,
        title=conversation.title,
        premise=premise_of(conversation),
        created_ms=conversation.created_ms,
    )


def scene_view(scene: Scene) -> SceneView:
    number = [each.place for each in current_turns(scene.story)].index(scene.state.place) + 1
    return _scene_view(scene.id.story, number, scene.story, scene.state)


def _scene_view(story: SessionId, number: int, conversation: Conversation, state: TurnState) -> SceneView:
    narration = conversation.narrations.get(state.turn)
    return SceneView(
        id=str(SceneId(story, state.turn)),
        story_id=story,
        number=number,
        prompt=state.question,
        content=state.answer,
        status=state.status,
        created_ms=state.requested_ms,
        spoken=state.settings.speak,
        audio_ms=state.audio_ms,
        narration=narration and _narration_view(narration),
        error=state.error and state.error["message"],
    )


def _narration_view(state: NarrationState) -> NarrationView:
    error = state.error or {}
    return NarrationView(
        session_id=state.session,
        status=state.status,
        chunk_count=state.chunks,
        audio_ms=state.audio_ms,
        auto_play=state.by == "auto",
        code=error.get("code"),
        message=error.get("message"),
    )
