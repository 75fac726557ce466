"""Commands of Realtime clients: checked against it, recorded as events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import anyio

from deployments.container import GatewayContainer
from deployments.faces.realtime.item_views import Shown, shown_item
from deployments.faces.realtime.session_config import checked, config_of, for_response, updated
from pipeline.engines.ports import Message
from pipeline.eventlog.event_log import Head
from pipeline.eventlog.recorder import RequestContext
from pipeline.session_state.conversation import Conversation
from pipeline.session_state.conversation_items import ROOT, Item, Items, made
from pipeline.session_state.llm_context import as_given, context_messages, counting_items, room_for, text_of
from pipeline.session_state.turn_state import TurnState
from pipeline.stt.item_audio import I, silent_parts, written_down
from schemas.errors import NothingToControl, SchemaInvalid
from schemas.errors.realtime_errors import RealtimeInvalid
from schemas.events import (
    Event,
    InputCleared,
    InputIdled,
    ItemAdded,
    ItemRemoved,
    ItemTruncated,
    RealtimeConfigured,
    ResponseAsked,
    SettingsChanged,
)
from schemas.events.voice_events import PlaybackFlushed, PlaybackHeard
from schemas.ids import NO_TURN, Seq, SessionId, TurnId
from schemas.native.client_commands import Control, RequestTurn
from schemas.realtime.client_events import ItemCreate, ItemTruncate
from schemas.realtime.realtime_items import ItemReference, stored
from schemas.realtime.realtime_session import ResponseWish, SessionPatch, TranscriptionPatch
from schemas.settings import SessionSettings
from schemas.settings.model_settings import GivenMessage
from schemas.settings.provider_settings import LOCAL

_ITEMS: Final = 2_000
"""Of one conversation; what is older is not told to any model anyway."""
_CHARS: Final = 8_000_000
"""Of all items that clients wrote. Each connection to the session holds them in memory."""
_WRITTEN_S: Final = 60.0
"""How long a response waits for what was said to be written down."""
_NOTHING: Final = "…"
"""Stands for the question where a response is wanted and nobody asked anything."""
SILENCE: Final = {"type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": ""}]}


@dataclass(frozen=True, slots=True)
class RealtimeCommands:
    """Of one session. Every method raises a RhapsodeError where it refuses."""

    services: GatewayContainer
    session: SessionId
    model: str

    async def configure(self, patch: SessionPatch | TranscriptionPatch) -> None:
        """Change the session from now on."""
        choices, names = self.services.sessions.choices, self.services.names
        before, _ = await self.services.sessions.view(self.session)
        config = updated(config_of(before, model=self.model), patch)
        try:
            settings = checked(config, names).apply(before.settings)
            await choices.check_schemas(settings, before.principal)
        except SchemaInvalid as error:
            error.field = error.field and error.field.replace("settings.tools.functions", "session.tools")
            raise

        def decision(conversation: Conversation) -> Sequence[Event]:
            before = config_of(conversation, model=self.model)
            config = updated(before, patch)
            if config["type"] == before["type"]:
                self._check_model(before.get("model", ""), config.get("model", ""))
            settings = self.services.sessions.choices.check(
                checked(config, self.services.names).apply(conversation.settings)
            )
            return SettingsChanged(settings=settings), RealtimeConfigured(config=config)

        await self.services.sessions.decide(self.session, decision)

    def _check_model(self, before: str, now: str) -> None:
        """Stock clients send a name all the same, and not always the one of the address."""
        if before != now and self.services.names.answering(before or LOCAL) != self.services.names.answering(
            now or LOCAL
        ):
            raise RealtimeInvalid("A session's model cannot be changed.", field="session.model")

    # ------------------------------------------------------------ items

    async def create(self, event: ItemCreate) -> None:
        [item], after = await self._heard([event.item]), event.previous_item_id

        def decision(conversation: Conversation) -> Sequence[Event]:
            items = conversation.items
            if item.id is not None and item.id in items.known:
                raise RealtimeInvalid(f"There is an item '{item.id}' already.", field="item.id")
            if after is not None and after != ROOT and after not in items.order:
                raise RealtimeInvalid(
                    f"Previous item with ID '{after}' not found.",
                    reason="item_not_found",
                    field="previous_item_id",
                )
            if item.type == "function_call_output" and item.call_id not in items.calls:
                raise RealtimeInvalid(
                    f"Tool call ID '{item.call_id}' not found in conversation.", field="item.call_id"
                )
            _check_room(items, made(stored(item), "", Seq(0)))
            named = stored(item) if item.id is None else {"id": item.id, **stored(item)}
            return (ItemAdded(item=named, after=after),)

        await self.services.sessions.decide(self.session, decision)

    async def _heard(self, items: Sequence[I]) -> list[I]:
        """With transcripts of all their sound."""
        if not any(silent_parts(item) for item in items):
            return list(items)
        known, _ = await self.services.sessions.view(self.session)
        config = config_of(known, model=self.model)
        writer, heard = self.services.transcribers.realtime, self.services.allowance.heard
        return [await written_down(item, config, writer, heard, known.principal) for item in items]

    async def retrieve(self, name: str) -> Shown:
        conversation, _ = await self.services.sessions.view(self.session)
        return shown_item(_item(conversation, name, "retrieve"), conversation.turns)

    async def delete(self, name: str) -> None:
        def decision(conversation: Conversation) -> Sequence[Event]:
            _item(conversation, name, "delete")
            return (ItemRemoved(item=name),)

        await self.services.sessions.decide(self.session, decision)

    async def truncate(self, event: ItemTruncate) -> None:
        """Of this answer nobody heard more: the model is told so, and nothing more of it is sent."""

        def decision(conversation: Conversation) -> Sequence[Event | RequestContext]:
            item = _item(conversation, event.item_id, "truncate")
            turn = conversation.turns.get(item.turn)
            if item.kind != "answer" or turn is None or not turn.settings.speak:
                raise RealtimeInvalid("Only model output audio messages can be truncated.", field="item_id")
            if event.audio_end_ms > turn.audio_ms:
                raise RealtimeInvalid(
                    f"Audio content of {turn.audio_ms}ms is already shorter than {event.audio_end_ms}ms.",
                    field="audio_end_ms",
                )
            events = [RequestContext(turn.turn, PlaybackHeard(heard_ms=event.audio_end_ms))]
            if not turn.flushed:
                events.append(RequestContext(turn.turn, PlaybackFlushed(reason="user")))
            return *events, ItemTruncated(item=item.id, audio_end_ms=event.audio_end_ms)

        await self.services.sessions.decide(self.session, decision)

    async def cleared(self, name: str) -> None:
        await self.services.sessions.decide(self.session, lambda _: (InputCleared(input=name),))

    async def silent(self) -> None:
        """Sound was committed in which nobody said anything."""
        added = ItemAdded(item=dict(SILENCE), committed=True)
        await self.services.sessions.decide(self.session, lambda _: (added,))

    async def idled(self, turn: TurnId, name: str, at_ms: int) -> bool:
        """Records the silence after this answer; False: somebody has spoken, or it is recorded already."""
        answered = True

        def decision(conversation: Conversation) -> Sequence[Event]:
            nonlocal answered
            items, answer = conversation.items, conversation.turns[turn]
            latest = items.known[next(reversed(items.order))] if items.order else None
            if conversation.unfinished or latest is None or latest.turn != turn:
                answered = False
                return ()
            quiet_ms = conversation.latest_ms - (answer.first_audio_ms or conversation.latest_ms)
            start_ms = max(0, at_ms - max(0, quiet_ms - answer.audio_ms))
            idled = InputIdled(input=name, start_ms=start_ms, end_ms=at_ms)
            return idled, ItemAdded(item=dict(SILENCE), committed=True)

        await self.services.sessions.decide(self.session, decision)
        return answered

    # ------------------------------------------------------------ responses

    async def respond(self, params: ResponseWish) -> None:
        """Ask for a response, when all that was said before is written down."""
        if params.input is not None:
            params = params.model_copy(update={"input": tuple(await self._heard(params.input))})
        conversation, seen = await self._written()
        config = config_of(conversation, model=self.model)
        if config["type"] != "realtime":
            raise RealtimeInvalid("A transcription session has no responses.", field="type")
        if params.conversation == "auto" and (active := _active(conversation)) is not None:
            raise RealtimeInvalid(
                "Conversation already has an active response in progress: "
                f"{conversation.items.response_id(active.turn)}. Wait until the response is finished before "
                "creating a new one.",
                reason="conversation_already_has_active_response",
            )
        config = for_response(config, params)
        patch = checked(config, self.services.names, answers=True)
        given, question = self._response_context(conversation, params, patch.apply(conversation.settings))
        asked = ResponseAsked(conversation=params.conversation, metadata=params.metadata, config=config)
        command = RequestTurn(prompt=question, settings=patch)
        await self.services.sessions.request(self.session, command, given=given, before=(asked,), seen=seen)

    async def cancel(self, response: str | None) -> None:
        conversation, seen = await self.services.sessions.view(self.session)
        turn = None if response is None else conversation.items.turn_of(response)
        active = _active(conversation) if response is None else conversation.turns.get(turn or NO_TURN)
        if active is None or active.over:
            raise _not_active()
        try:
            await self.services.sessions.control(self.session, Control(action="stop", turn=active.turn), seen)
        except NothingToControl as error:
            raise _not_active() from error

    def _response_context(
        self, conversation: Conversation, params: ResponseWish, settings: SessionSettings
    ) -> tuple[tuple[GivenMessage, ...], str]:
        """All that the model is told, and what of it is the question."""
        items, known = _context(conversation, params), self.services.settings
        room = room_for(settings, known.language_model.windows)
        messages = context_messages(items, conversation.turns, room=room)
        if messages and messages[-1].role == "assistant" and not messages[-1].calls:
            # Engines go on with a last message of the assistant; this is to be an answer of its own.
            messages = (*messages, Message("user", _NOTHING))
        instructions = settings.system_prompt or ("" if messages else SessionSettings().system_prompt)
        system = (Message("system", instructions),) if instructions else ()
        asked = (item for item in reversed(items) if item.role == "user" and item.kind != "result")
        question = next((text_of(item, conversation.turns) for item in asked), "").strip() or _NOTHING
        return tuple(as_given(message) for message in (*system, *messages)), question[
            : known.limits.prompt_chars
        ]

    async def _written(self) -> tuple[Conversation, Head]:
        """The session once all that was said before is written down, or `_WRITTEN_S` have passed."""
        conversation, head = await self.services.sessions.view(self.session)
        if not conversation.items.unwritten:
            return conversation, head
        with anyio.move_on_after(_WRITTEN_S):
            async with self.services.tailer.follow(self.session, head.seq) as batches:
                async for batch in batches:
                    if any(one.type in ("transcript.final", "transcript.failed") for one in batch):
                        conversation, head = await self.services.sessions.view(self.session)
                        if not conversation.items.unwritten:
                            return conversation, head
        return await self.services.sessions.view(self.session)


def _check_room(items: Items, item: Item) -> None:
    """Raises RealtimeInvalid where the conversation has no room for one item more."""
    if len(items.order) >= _ITEMS:
        raise RealtimeInvalid(f"A conversation holds at most {_ITEMS} items; delete some.")
    if items.chars + item.chars > _CHARS:
        raise RealtimeInvalid(
            f"A conversation's items hold at most {_CHARS} characters; delete some.", field="item"
        )


def _not_active() -> RealtimeInvalid:
    return RealtimeInvalid(
        "Cancellation failed: no active response found.", reason="response_cancel_not_active"
    )


def _active(conversation: Conversation) -> TurnState | None:
    """The response that is being made in the conversation, unless it is about to end."""
    outside = conversation.items.outside
    return next(
        (turn for turn in conversation.unfinished if turn.stopping is None and not outside(turn.turn)), None
    )


def _item(conversation: Conversation, name: str, verb: str) -> Item:
    if name not in conversation.items.order:
        raise RealtimeInvalid(
            f"Error processing the request: item with item_id '{name}' not found.",
            reason=f"item_{verb}_invalid_item_id",
            field="item_id",
        )
    return conversation.items.known[name]


def _context(conversation: Conversation, params: ResponseWish) -> list[Item]:
    """Returns the response's context: the conversation, or the input that the request brings."""
    if params.input is None:
        return counting_items(conversation)
    known, found = conversation.items.known, []
    for number, item in enumerate(params.input):
        if not isinstance(item, ItemReference):
            found.append(made(stored(item), f"input_{number}", Seq(0)))
        elif item.id in conversation.items.order:
            found.append(known[item.id])
        else:
            raise RealtimeInvalid(
                f"Item with ID '{item.id}' not found.",
                reason="item_not_found",
                field=f"response.input[{number}].id",
            )
    return found
