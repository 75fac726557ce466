"""Events of a call by telephone. Its end is `call.hung_up` (schemas/events/realtime_events.py)."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.events.event_model import EventModel as _Event


class CallConnected(_Event):
    """A media stream of the call was connected: the first one, or one that continues it."""

    type: Literal["call.connected"] = "call.connected"
    v: Literal[1] = 1
    call: str
    """Its id here, which `POST /v1/realtime/calls/{call}/hangup` takes."""
    connection: str
    """Name of this connection; a later one of the same call replaces it."""
    provider: Literal["twilio", "telnyx"]
    provider_call: str
    """The provider's id of the call ..."""
    stream: str
    """... and of the media stream."""
    caller: str = ""
    called: str = ""


class DtmfReceived(_Event):
    """The caller pressed a key."""

    type: Literal["dtmf.received"] = "dtmf.received"
    v: Literal[1] = 1
    call: str
    digit: Annotated[str, Field(pattern=r"^[0-9*#A-D]$")]
    """One of 0 to 9, *, # and A to D."""


class CallTransferred(_Event):
    """The call leaves this server for `to`; with a turn, once that turn's answer was heard."""

    type: Literal["call.transferred"] = "call.transferred"
    v: Literal[1] = 1
    call: str
    to: str
    """Name in the settings, not the number."""
