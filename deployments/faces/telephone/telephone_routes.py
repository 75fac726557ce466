"""Webhooks and media streams of the providers. Their signature is the credential: no key is asked for."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from typing import Annotated, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import anyio
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import APIRouter, Path, Request, Response, WebSocket
from starlette.requests import HTTPConnection

from deployments.container import GatewayContainer
from deployments.faces.native.session_routes import Open
from deployments.faces.telephone import call_markup
from deployments.faces.telephone.phone_connection import PhoneConnection
from deployments.web import problem_details
from deployments.web.auth_middleware import from_this_machine
from deployments.web.resource_access import services_of
from pipeline.auth.authenticator import is_loopback
from schemas.errors import InputError, RhapsodeError, StateError
from schemas.errors.access_errors import AccessError, Forbidden
from schemas.ids import SessionId, is_digits
from schemas.settings.limit_settings import TelephoneProvider

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


router = APIRouter(prefix="/v1/telephone", tags=["telephone"])
Provider = Annotated[TelephoneProvider, Path(description="The provider that sends this.")]

_FIELDS: Final = 200
_NUMBER: Final = 64
_BODY_S: Final = 10.0
"""Its sender is not known until the body is there."""
_XML: Final = "application/xml"
_WAIT_S: Final = 1
"""Seconds before a call is connected again: another gateway has taken over by then."""
_FORM: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["CallSid"],
                    "properties": {name: {"type": "string"} for name in ("CallSid", "From", "To")},
                }
            }
        },
    },
}


@router.post(
    "/{provider}/voice",
    response_class=Response,
    openapi_extra=_FORM,
    responses={200: {"description": "TwiML or TeXML.", "content": {_XML: {"schema": {"type": "string"}}}}},
)
async def answer_call(
    provider: Provider, request: Request, services: Open, session_id: str | None = None, attempt: int = 0
) -> Response:
    """Say what is to be done with a call: connect its media stream; with `session_id`, when that has ended,
    connect it again, transfer the call or hang up. See docs/telephone.md."""
    refuse_others(request, services, provider)
    try:
        with anyio.fail_after(_BODY_S):
            body = await request.body()  # of at most `body_limits.SIGNED_BYTES`
    except TimeoutError as error:
        raise InputError(f"the body did not arrive within {_BODY_S:g} s", field="body") from error
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError as error:
        raise InputError("the body is a form", field="body") from error
    check_sender(request, services, provider, fields, body)
    about = dict(fields)
    call = about.get("CallSid", "")
    if not 0 < len(call) <= 2 * _NUMBER or not call.isprintable():
        raise InputError("it is the provider's id of the call", field="CallSid")
    caller, called = (
        "".join(filter(str.isprintable, about.get(name, "")))[:_NUMBER] for name in ("From", "To")
    )
    answer = _Answer(services, provider, _base(request, services), max(0, attempt))
    if session_id is None:
        return _xml(await answer.first(call, caller, called))
    return _xml(await answer.again(session_id, call, caller, called))


@router.websocket("/{provider}/stream")
async def media_stream(websocket: WebSocket, provider: Provider) -> None:
    """The media stream of a call: sound both ways."""
    services = services_of(websocket)
    await websocket.accept()
    try:
        check_sender(websocket, services, provider)
        services.leaving.drain.check()
        with services.leaving.drain.guest():
            await PhoneConnection(services, websocket, provider).run()
    except RhapsodeError as error:
        await websocket.close(problem_details.close_code(error))


class _Answer:
    """One answer to a webhook."""

    def __init__(
        self, services: GatewayContainer, provider: TelephoneProvider, base: str, attempt: int
    ) -> None:
        self._services = services
        self._settings = services.settings.gateway.telephone
        self._provider: TelephoneProvider = provider
        self._base = base
        self._attempt = attempt

    async def first(self, provider_call: str, caller: str, called: str) -> str:
        phones = self._services.phone_calls
        if phones.full or self._services.leaving.drain.asked:
            return call_markup.reject()
        try:
            session = await phones.begin(caller)
        except RhapsodeError as error:
            if not error.retryable:
                raise
            return call_markup.reject()
        token = phones.invite(session, None, provider_call=provider_call, caller=caller, called=called)
        return self._connect(session, token, 0)

    async def again(self, name: str, provider_call: str, caller: str, called: str) -> str:
        """The media stream has ended: the call is over, or goes on elsewhere."""
        phones = self._services.phone_calls
        try:
            conversation = await phones.known(name)
        except (AccessError, StateError, InputError):
            return call_markup.hang_up()
        phone, session = conversation.phone, SessionId(name)
        if phone is not None and phone.transfer_to in self._settings.transfer_to:
            return call_markup.transfer(self._settings.transfer_to[phone.transfer_to])
        over = conversation.ended or conversation.ending or (phone is not None and phone.over)
        if over or self._attempt >= self._settings.reconnections:
            return call_markup.hang_up()
        if phones.full or self._services.leaving.drain.asked:
            return call_markup.ask_again(self._again(session), _WAIT_S)
        token = phones.invite(
            session,
            None if phone is None else phone.call,
            provider_call=provider_call,
            caller=caller,
            called=called,
        )
        return self._connect(session, token, _WAIT_S)

    def _connect(self, session: SessionId, token: str, wait_s: int) -> str:
        stream = f"{self._base.replace('http', 'ws', 1)}/v1/telephone/{self._provider}/stream"
        again = self._again(session)
        return call_markup.connect(
            self._provider, self._settings, stream=stream, token=token, again=again, wait_s=wait_s
        )

    def _again(self, session: SessionId) -> str:
        query = urlencode({"session_id": session, "attempt": self._attempt + 1})
        return f"{self._base}/v1/telephone/{self._provider}/voice?{query}"


def check_sender(
    connection: HTTPConnection,
    services: GatewayContainer,
    provider: TelephoneProvider,
    fields: list[tuple[str, str]] | None = None,
    body: bytes | None = None,
) -> None:
    """Checks the provider's signature. Telnyx signs no WebSocket: there the token of the call counts alone.

    Raises Forbidden.
    """
    settings, headers = services.settings.gateway.telephone, connection.headers
    if not refuse_others(connection, services, provider):
        return
    if provider == "twilio":
        assert settings.twilio_auth_token is not None
        base = _base(connection, services)
        if connection.scope["type"] == "websocket":
            base = base.replace("http", "ws", 1)
        query = connection.scope["query_string"].decode("latin-1")
        url = base + _path(connection) + (f"?{query}" if query else "")
        good = signed_by_twilio(
            headers.get("x-twilio-signature", ""),
            settings.twilio_auth_token.get_secret_value(),
            url,
            fields or (),
        )
    elif body is None:
        good = True
    else:
        good = signed_by_telnyx(
            headers.get("telnyx-signature-ed25519", ""),
            headers.get("telnyx-timestamp", ""),
            settings.telnyx_public_key or "",
            body,
            services.clock.now_ms() / 1_000,
        )
    if not good:
        raise Forbidden(f"the signature of {provider} does not fit; see gateway.telephone.public_url")


def refuse_others(
    connection: HTTPConnection, services: GatewayContainer, provider: TelephoneProvider
) -> bool:
    """Whether the provider's signature must be checked: not for tests on this machine.

    Raises Forbidden for a page, and for a provider whose calls are not taken.
    """
    settings = services.settings.gateway.telephone
    if "origin" in connection.headers:
        raise Forbidden("no page of a browser may call here")
    secret = settings.twilio_auth_token if provider == "twilio" else settings.telnyx_public_key
    if secret is None and not (settings.insecure and _is_local(connection)):
        name = "twilio_auth_token" if provider == "twilio" else "telnyx_public_key"
        raise Forbidden(f"calls of {provider} are not taken: gateway.telephone.{name} is not set")
    return secret is not None


def _is_local(connection: HTTPConnection) -> bool:
    try:
        host = urlsplit(f"//{connection.headers.get('host', '')}").hostname or ""
    except ValueError:  # it is no name
        return False
    return from_this_machine(connection.scope) and is_loopback(host)


def _base(connection: HTTPConnection, services: GatewayContainer) -> str:
    """Address of this server as the provider knows it."""
    public = services.settings.gateway.telephone.public_url
    if public is not None:
        return public.rstrip("/")
    return f"http://{connection.headers.get('host', '')}{connection.scope.get('root_path', '')}"


def _path(connection: HTTPConnection) -> str:
    path: str = connection.scope["path"]
    return path.removeprefix(connection.scope.get("root_path", ""))


def _xml(text: str) -> Response:
    return Response(text, media_type=_XML)
