"""Responses of OpenAI's clients as turns of sessions: asked for, found again, cancelled and deleted."""

import re
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import anyio

from deployments.container import GatewayContainer
from deployments.faces.openai.request_mapping import title_of
from deployments.faces.responses.response_context import (
    asked_of,
    chain,
    context,
    deleted,
    own_input,
)
from deployments.faces.responses.response_ids import ResponseId, item_id, parse_response_id
from deployments.faces.responses.response_inputs import (
    Asked,
    ResponseInputs,
    config_of_request,
    item_object,
    owns,
)
from deployments.faces.responses.response_translator import ResponseTranslator, Shown
from deployments.web.resource_access import ADMINS_READ
from pipeline.auth.principals import Principal
from pipeline.session_state.conversation import Conversation
from pipeline.transfer.forking import Forks
from schemas.errors import (
    EngineFailed,
    InputError,
    NothingToControl,
    RhapsodeError,
    SessionGone,
    SessionNotFound,
)
from schemas.errors.access_errors import Forbidden
from schemas.errors.openai_errors import PreviousResponseNotFound, ResponseNotFound
from schemas.events import Event, ItemAdded, ItemRemoved, ResponseAsked
from schemas.ids import SessionId, TurnId
from schemas.native.client_commands import Control, CreateSession, RequestTurn
from schemas.native.transfer_answers import ForkSession
from schemas.openai.responses_request import ResponsesRequest

_FIELDS: Final = {
    "messages": "input",
    "prompt": "input",
    "response_format": "text.format",
    "settings.sampling.json_schema": "text.format.schema",
}
"""Fields of chat completions and of ours, as the request names them."""
_PARAMETERS: Final = re.compile(r"settings\.tools\.functions\.(\d+)\.parameters")


@dataclass(frozen=True, slots=True)
class ResponseTurns:
    """Requests of the face. Its methods raise RhapsodeErrors whose fields are the request's."""

    services: GatewayContainer

    async def begin(self, request: ResponsesRequest, caller: Principal) -> ResponseId:
        """Asks for the response: in a session of its own, or in that of the response before it."""
        try:
            return await self._begin(request, caller)
        except InputError as error:
            if error.field is not None:
                known = _FIELDS.get(error.field, error.field)
                error.field = _PARAMETERS.sub(r"tools[\1].parameters", known)
            raise

    async def _begin(self, request: ResponsesRequest, caller: Principal) -> ResponseId:
        model = self.services.names.chat(request.model)
        previous = await self._previous(request, caller)
        inputs = ResponseInputs(self.services)
        items, turns = [], {}
        if previous is not None:
            found, conversation = previous
            turns = conversation.turns
            items = context(conversation, await self._rests_on(found, conversation))
        asked = await inputs.asked(request, model, items, turns, caller)
        session = await self._session(asked, previous if request.stored else None, caller)
        command = RequestTurn(prompt=asked.question, settings=asked.settings)
        before: tuple[Event, ...] = (
            *(ItemAdded(item=item) for item in asked.added),
            ResponseAsked(metadata=request.metadata, config=config_of_request(request, asked, model)),
        )
        try:
            turn = await self.services.sessions.request(session, command, given=asked.given, before=before)
        except BaseException:
            if previous is None or session != previous[0].session:
                with anyio.CancelScope(shield=True), suppress(RhapsodeError):  # the refusal is told, not this
                    await self.services.sessions.delete(session)
            raise
        return ResponseId(session, turn)

    async def _session(
        self, asked: Asked, previous: tuple[ResponseId, Conversation] | None, caller: Principal
    ) -> SessionId:
        """A new one without `previous`; else its session, forked where it is not the last turn."""
        if previous is None:
            title = title_of(asked.question)
            command = CreateSession(settings=asked.settings, title=title)
            made = await self.services.sessions.create(command, kind="completion", principal=caller.name)
            return made[0]
        (session, turn), conversation = previous
        if turn == max(conversation.turns) and not conversation.ending:
            return session
        at = conversation.turns[turn].ended_at
        services = self.services
        forks = Forks(services.log, services.sessions, services.clock, services.forking)
        return (await forks.fork(session, ForkSession(at=at), caller.name)).session

    async def _previous(
        self, request: ResponsesRequest, caller: Principal
    ) -> tuple[ResponseId, Conversation] | None:
        if request.previous_response_id is None:
            return None
        name, field = request.previous_response_id, "previous_response_id"
        try:
            found, conversation = await self.find(name, caller)
        except ResponseNotFound as error:
            missing = f"Previous response with id '{name[:80]}' not found."
            raise PreviousResponseNotFound(missing, field=field) from error
        if not caller.commands(conversation.principal):
            raise Forbidden(ADMINS_READ)
        if not conversation.turns[found.turn].over:
            raise InputError(f"Response '{name}' is still in progress.", field=field)
        return found, conversation

    async def find(self, name: str, caller: Principal) -> tuple[ResponseId, Conversation]:
        """Raises ResponseNotFound."""
        missing = ResponseNotFound(f"Response with id '{name[:80]}' not found.", field="response_id")
        found = parse_response_id(name)
        if found is None or not await owns(self.services.ownership, caller, found.session):
            raise missing
        try:
            conversation, _ = await self.services.sessions.view(found.session)
        except (SessionGone, SessionNotFound) as error:
            raise missing from error
        asked = conversation.items.asked.get(found.turn)
        if asked is None or not asked.stored or deleted(conversation, found.turn):
            raise missing
        return found, conversation

    async def _rests_on(self, found: ResponseId, conversation: Conversation) -> list[TurnId]:
        """The response and those before it. A fork has copies of some: without those that were deleted in the
        session that they come from.
        """
        names, elsewhere = chain(conversation, found), defaultdict[SessionId, list[ResponseId]](list)
        for name in names:
            if name.session != found.session:
                elsewhere[name.session].append(name)
        gone = set[ResponseId]()
        for session, of_it in elsewhere.items():
            if await self.services.ownership.of(session) not in (None, conversation.principal):
                continue
            try:
                origin, _ = await self.services.sessions.view(session)
            except SessionGone:
                gone.update(of_it)
            except SessionNotFound:  # a bundle brought the responses here
                continue
            else:
                gone.update(name for name in of_it if deleted(origin, name.turn))
        return [name.turn for name in names if name not in gone]

    # ------------------------------------------------------------ what is told of it

    async def translator(self, name: ResponseId) -> ResponseTranslator:
        conversation, _ = await self.services.sessions.view(name.session)
        asked = asked_of(conversation, name.turn)
        assert asked is not None
        return ResponseTranslator(name, asked, self.services.names.answered)

    async def events(
        self, translator: ResponseTranslator, *, follow: bool = True
    ) -> AsyncGenerator[Shown | None, None]:
        """All events of the response from the first on; None: nothing came for a heartbeat.

        Without `follow` they end where the log does.
        """
        session, turn = translator.id
        log_events = self.services.turn_events(session, turn, after=turn - 1, follow=follow)
        try:
            async with aclosing(log_events) as events:
                async for recorded in events:
                    if recorded is None:
                        yield None
                        continue
                    for event in translator.of(recorded):
                        yield event
        except SessionGone as error:
            raise ResponseNotFound("The response was deleted.", field="response_id") from error
        if follow and not translator.over:
            raise EngineFailed("the session of this response was ended before it was whole")

    async def input_items(
        self, name: str, caller: Principal
    ) -> tuple[dict[str, Callable[[], Shown]], Conversation]:
        """All that the response rests on, by its ids, from the oldest item on; a call makes one of them. And
        the session that has them."""
        found, conversation = await self.find(name, caller)
        chained = await self._rests_on(found, conversation)
        items = context(conversation, chained, without_output=found.turn)
        made: dict[str, Callable[[], Shown]] = {
            item_id(found.session, item): partial(item_object, item, conversation.turns) for item in items
        }
        return made, conversation

    # ------------------------------------------------------------ cancelled and deleted

    async def cancel(self, name: str, caller: Principal) -> ResponseId:
        """Returns when the response is over."""
        found, conversation = await self.find(name, caller)
        if not conversation.turns[found.turn].over:
            with suppress(NothingToControl):  # just over
                await self.services.sessions.control(found.session, Control(action="stop", turn=found.turn))
            async with aclosing(self.events(await self.translator(found))) as events:
                async for _ in events:
                    pass
        return found

    async def delete(self, name: str, caller: Principal) -> None:
        """Takes the response's items out of the conversation; with its last turn a session is erased.

        Turns that a fork was made with do not keep it: they are told in the session that they come from.
        Raises SessionAlreadyEnded where other responses stay in a session that has ended.
        """
        found, conversation = await self.find(name, caller)
        copied = conversation.parent_seq if found.turn > conversation.parent_seq else 0
        others = [turn for turn in conversation.turns if turn > copied and turn != found.turn]
        if all(deleted(conversation, turn) for turn in others):
            await self.services.sessions.delete(found.session)
            return
        await self.cancel(name, caller)
        own = {item.id for item in own_input(conversation, found.turn)}

        def decision(now: Conversation) -> Sequence[Event]:
            gone = [one for one in now.items.known.values() if one.turn == found.turn or one.id in own]
            return [ItemRemoved(item=item.id) for item in gone if item.id in now.items.order]

        await self.services.sessions.decide(found.session, decision)
