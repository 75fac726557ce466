"""Callers who ask and listen while things die under them, and come back with their cursor each time."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

import anyio
import anyio.lowlevel
import httpx
from websockets.exceptions import WebSocketException

from loadtests.chaos.consistency_check import AcceptedTurn, ListenerRecord
from loadtests.client.api_connection import ApiConnection
from loadtests.client.event_socket import EventSocket
from schemas.events import TERMINAL

_RETRY_S: Final = 0.05
_PATIENCE_S: Final = 60.0


class WaitedInVain(TimeoutError):
    """A listener waited for a minute in vain."""

    def __init__(self, listener: ListenerRecord, turn: int, audio: str) -> None:
        super().__init__(f"turn {turn} of {listener.session} ({audio}): nothing after {listener.last}")
        self.listener = listener


@dataclass
class ChaosCallers:
    """All callers of a run, and what they have noted."""

    url: str
    dice: random.Random
    cut_after: int
    """Frames that a connection lives at most."""
    listeners: list[ListenerRecord] = field(default_factory=list)
    asked: list[AcceptedTurn] = field(default_factory=list)
    cuts: int = 0
    refused: int = 0
    resumes_ms: list[float] = field(default_factory=list)
    """From the handshake to the first event that was missed, where one was."""

    def __post_init__(self) -> None:
        self.connection = ApiConnection(self.url, open_s=5)

    def listener(self, session: str, *, wants_audio: bool) -> ListenerRecord:
        """The one who listened to this session before, or a new one."""
        for known in self.listeners:
            if (known.session, known.wants_audio) == (session, wants_audio):
                return known
        self.listeners.append(ListenerRecord(session, wants_audio=wants_audio))
        return self.listeners[-1]


async def until_accepted(
    http: httpx.AsyncClient, path: str, body: dict[str, Any], key: str
) -> dict[str, Any]:
    """POST until somebody answers; the key makes that one request."""
    with anyio.fail_after(_PATIENCE_S):
        while True:
            with suppress(httpx.TransportError):
                answer = await http.post(path, json=body, headers={"Idempotency-Key": key})
                if answer.is_success:
                    made: dict[str, Any] = answer.json()
                    return made
                if answer.status_code not in (429, 503):
                    raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")
            await anyio.sleep(_RETRY_S)


async def chaos_caller(callers: ChaosCallers, name: str, answer: str, going_on: Callable[[], bool]) -> None:
    """Ask for one answer after the other, in a session of one's own, and have two others listen in."""
    async with httpx.AsyncClient(base_url=callers.url, timeout=10) as http:
        session = str((await until_accepted(http, "/v1/sessions", {}, f"{name}/new"))["session_id"])
        number = 0
        while going_on():
            number += 1
            body = {"prompt": f"{name}, please: number {number}"}
            path = f"/v1/sessions/{session}/turns"
            accepted = await until_accepted(http, path, body, f"{name}/{number}")
            turn = int(accepted["turn"])
            callers.asked.append(AcceptedTurn(session, turn, f"{name}/{number}", answer))
            async with anyio.create_task_group() as listeners:
                for audio in ("opus", "none"):
                    listeners.start_soon(_hear, callers, session, turn, audio)


async def _hear(callers: ChaosCallers, session: str, turn: int, audio: str) -> None:
    """Hear the turn to its end over connections that are cut, by us or by whoever dies."""
    listener = callers.listener(session, wants_audio=audio == "opus")
    with anyio.move_on_after(_PATIENCE_S) as patience:
        while not _over(listener, turn):
            with suppress(WebSocketException):
                await _connection(callers, listener, turn, audio)
            await anyio.lowlevel.checkpoint()
    if patience.cancelled_caught:
        raise WaitedInVain(listener, turn, audio)


def _over(listener: ListenerRecord, turn: int) -> bool:
    return any(event["turn"] == turn and event["type"] in TERMINAL for event in listener.events[-64:])


async def _connection(callers: ChaosCallers, listener: ListenerRecord, turn: int, audio: str) -> None:
    lifetime = callers.dice.randint(3, callers.cut_after)
    began, missed = monotonic(), False
    try:
        socket = await callers.connection.connect(listener.session, after=str(listener.last), audio=audio)
    except RuntimeError:
        callers.refused += 1
        await anyio.sleep(_RETRY_S)
        return
    try:
        async for frame in EventSocket(socket).frames():
            event = frame.event
            if event["type"] == "hello":
                missed = event["head_seq"] > listener.last
            if "data" in event:
                if missed:
                    callers.resumes_ms.append((monotonic() - began) * 1_000)
                    missed = False
                listener.events.append(event)
                listener.heard_at.append(frame.at_s)
                if frame.sound:
                    listener.audio[event["seq"]] = frame.sound
            lifetime -= 1
            if _over(listener, turn):
                return
            if lifetime <= 0:
                callers.cuts += 1
                return
    finally:
        socket.transport.abort()
