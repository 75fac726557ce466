"""Calls by telephone: who may call, and their bounds."""

import base64
import binascii
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from schemas.settings.model_settings import FunctionName

_KEY_BYTES: Final = 32
HANG_UP: Final = "hang_up"
TRANSFER: Final = "transfer"
TelephoneProvider = Literal["twilio", "telnyx"]


def _checked_key(text: str) -> str:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("it is not base64") from error
    if len(key) != _KEY_BYTES:
        raise ValueError("an ed25519 public key has 32 bytes")
    return text


class TelephoneSettings(BaseModel):
    """Calls over media streams of Twilio and Telnyx. Without the provider's secret no call is taken."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    public_url: str | None = Field(default=None, pattern=r"^https://[^\s/?#@]{1,255}(/[^\s?#]{0,255})?$")
    """Address at which the provider reaches this server, as `https://voice.example.com`: signatures are made
    of it, and calls are led to it."""
    twilio_auth_token: SecretStr | None = Field(default=None, min_length=8)
    """Auth token of the Twilio account, which signs its requests; None: no calls of Twilio."""
    telnyx_public_key: Annotated[str, AfterValidator(_checked_key)] | None = None
    """Public key of the Telnyx account in base64, as its portal shows it; None: no calls of Telnyx."""
    telnyx_codec: Literal["PCMU", "PCMA"] = "PCMU"
    """G.711 with mu-law or A-law, both ways."""
    insecure: bool = False
    """Calls without any signature, from this machine's loopback addresses only: for tests."""
    principal: str = Field(default="telephone", pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")
    """Owner of the sessions of calls; on an open server they have none."""
    system_prompt: str = Field(default="", max_length=8_000)
    """Instructions of sessions of calls; empty: those of all sessions."""
    greeting: str = Field(default="", max_length=2_000)
    """Said when a call begins; empty: the caller speaks first."""
    transfer_to: dict[
        FunctionName, Annotated[str, Field(pattern=r"^(\+?[0-9]{2,20}|sip:[^\s<>]{1,200})$")]
    ] = {}
    """Numbers or SIP addresses that the model may transfer calls to, by the names that it is told."""
    key_prompts: bool = False
    """Keys that the caller presses are also a prompt for the model, after `#` or a pause."""
    key_pause_s: float = Field(default=2.0, gt=0, le=60)
    """A pause after a key that ends such a prompt."""
    calls: int = Field(default=20, ge=0)
    """Calls of one gateway; the provider is told that the line is busy for one more."""
    call_s: float = Field(default=3_600.0, gt=0)
    """A longer call is hung up."""
    start_s: float = Field(default=10.0, gt=0)
    """A media stream that has not said by then which call it belongs to is closed."""
    idle_s: float = Field(default=30.0, gt=0)
    """A media stream from which nothing came for so long is closed."""
    reconnections: int = Field(default=20, ge=0, le=1_000)
    """So often a call whose media stream broke is continued; then it is hung up."""

    @property
    def functions(self) -> tuple[str, ...]:
        """Functions that the model of a call may call."""
        if not (self.twilio_auth_token or self.telnyx_public_key or self.insecure):
            return ()
        return (HANG_UP, TRANSFER) if self.transfer_to else (HANG_UP,)

    @model_validator(mode="after")
    def _is_reachable(self) -> Self:
        if self.public_url is None and (self.twilio_auth_token or self.telnyx_public_key):
            raise ValueError("public_url: signatures cannot be checked without it")
        return self
