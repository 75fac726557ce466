"""Fold of the events of a call by telephone. Plain synchronous code."""

from dataclasses import dataclass
from typing import Final

from schemas.events.recorded import Recorded
from schemas.ids import NO_TURN, TurnId

_EVENTS: Final = frozenset({"call.transferred", "call.hung_up", "dtmf.received"})
_KEYS: Final = 64


@dataclass(slots=True)
class PhoneState:
    """The call of a session."""

    call: str
    connection: str = ""
    """The media stream that counts."""
    connections: int = 0
    keys: str = ""
    """Pressed since the last prompt, at most 64."""
    over: bool = False
    """It is to be hung up or transferred ..."""
    after: TurnId = NO_TURN
    """... once this turn's answer was heard; NO_TURN: at once."""
    transfer_to: str = ""


def apply_to_phone(phone: PhoneState | None, recorded: Recorded) -> PhoneState | None:
    """Returns the call after the event; None: the session has no call by telephone."""
    data = recorded.data
    if recorded.type == "turn.requested" and phone is not None:
        phone.keys = ""
    elif recorded.type == "call.connected":
        if phone is None or phone.call != data["call"]:
            phone = PhoneState(data["call"])
        phone.connection = data["connection"]
        phone.connections += 1
    elif phone is None or recorded.type not in _EVENTS or phone.call != data["call"]:
        return phone
    elif recorded.type == "dtmf.received":
        phone.keys = (phone.keys + data["digit"])[-_KEYS:]
    elif not phone.over:
        phone.over, phone.after = True, recorded.turn
        phone.transfer_to = data.get("to", "")
    return phone
