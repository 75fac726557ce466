"""Signatures of the providers' requests, checked in constant time."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schemas.ids import is_digits

REPLAY_S: Final = 300
"""Seconds that the time of a signed request may differ from ours."""


def twilio_signature(auth_token: str, url: str, fields: Iterable[tuple[str, str]] = ()) -> str:
    """Base64 of the HMAC-SHA1 over the address and the sorted form fields, as in Twilio's "Security"."""
    text = url + "".join(name + value for name, value in sorted(set(fields)))
    return base64.b64encode(hmac.digest(auth_token.encode(), text.encode(), hashlib.sha1)).decode()


def signed_by_twilio(
    signature: str, auth_token: str, url: str, fields: Iterable[tuple[str, str]] = ()
) -> bool:
    """Whether the header `X-Twilio-Signature` is that of this request."""
    known = list(fields)
    # Twilio signs some WebSocket addresses with a slash behind them.
    found = [
        hmac.compare_digest(twilio_signature(auth_token, one, known).encode(), signature.encode())
        for one in (url, f"{url}/")
    ]
    return any(found)


def signed_by_telnyx(signature: str, timestamp: str, public_key: str, body: bytes, now_s: float) -> bool:
    """Whether `telnyx-signature-ed25519` and `telnyx-timestamp` are those of this body, and recent."""
    if not is_digits(timestamp, 12):
        return False
    if abs(now_s - int(timestamp)) > REPLAY_S:
        return False
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key))
    try:
        key.verify(base64.b64decode(signature, validate=True), f"{timestamp}|".encode() + body)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
