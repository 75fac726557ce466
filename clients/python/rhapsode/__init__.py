"""Client of a Rhapsode server: ask, listen, and follow a session's events through dropped connections."""

from rhapsode.audio_devices import microphone
from rhapsode.blocking import Rhapsode, Session, Turn
from rhapsode.client import AsyncRhapsode, AsyncSession, AsyncTurn
from rhapsode.connection import ApiError, Event

__all__ = [
    "ApiError",
    "AsyncRhapsode",
    "AsyncSession",
    "AsyncTurn",
    "Event",
    "Rhapsode",
    "Session",
    "Turn",
    "microphone",
]
