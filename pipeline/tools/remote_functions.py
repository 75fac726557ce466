"""Functions at an address: one POST per call."""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import httpx
import jsonschema

from pipeline.engines.http.http_provider import body_of, is_compressed
from schemas.errors import ToolArguments, ToolError, ToolTimeout
from schemas.settings.model_settings import OUTPUT_CHARS
from schemas.settings.tool_settings import RegisteredFunction

_MOST_BYTES: Final = OUTPUT_CHARS * 4
_SHOWN: Final = 200
_PSEUDONYM: Final = 32
"""Hex digits; the beginning of `principal_sha256` in proofs of erasure."""
PRINCIPAL: Final = "X-Rhapsode-Principal"


@dataclass(frozen=True, slots=True)
class ToolCallContext:
    """Session and turn that a call is part of."""

    session: str
    turn: int
    principal: str = ""
    """User that asked: a pseudonym that stays the same (see `pseudonym`); empty on an open server."""


def pseudonym(principal: str) -> str:
    """Name of the caller for a function's server: the same for the same name, which it does not say."""
    return sha256(principal.encode()).hexdigest()[:_PSEUDONYM] if principal else ""


class RemoteFunction:
    """One function of one server. Its headers are in no message and in no `repr`."""

    def __init__(self, name: str, registered: RegisteredFunction, http: httpx.AsyncClient) -> None:
        self.parameters: Mapping[str, Any] = registered.parameters or {"type": "object", "properties": {}}
        self.description = registered.description
        jsonschema.Draft202012Validator.check_schema(dict(self.parameters))
        self._validator = jsonschema.Draft202012Validator(dict(self.parameters))
        self._name = name
        self._url = registered.url or ""
        self._headers = {key: value.get_secret_value() for key, value in registered.headers.items()}
        self._http = http

    async def call(self, call: str, arguments: Mapping[str, Any], about: ToolCallContext) -> str:
        """Raises ToolArguments, ToolTimeout or ToolError."""
        error = next(self._validator.iter_errors(arguments), None)
        if error is not None:
            where = ".".join(map(str, error.absolute_path))
            raise ToolArguments(f"{where}: {error.message}"[:_SHOWN] if where else error.message[:_SHOWN])
        body = {"call": call, "name": self._name, "arguments": arguments, "session": about.session}
        # Models use the same names for calls again in the next turn.
        headers = self._headers | {"Idempotency-Key": f"{about.session}/{about.turn}/{call}"}
        headers["Accept-Encoding"] = "identity"
        if about.principal:
            headers[PRINCIPAL] = about.principal
        try:
            async with self._http.stream("POST", self._url, json=body, headers=headers) as response:
                if is_compressed(response.headers):
                    raise ToolError(f"{self._name} sent a compressed answer, which nobody asked for")
                text = await _beginning(response)
        except httpx.TimeoutException as late:
            raise ToolTimeout(f"{self._name} did not answer in time") from late
        except httpx.HTTPError as broken:
            raise ToolError(f"{self._name} cannot be reached") from broken
        if not response.is_success:
            raise ToolError(f"{self._name} answered HTTP {response.status_code}: {text[:_SHOWN]}")
        return text


async def _beginning(response: httpx.Response) -> str:
    """As much of the body as is taken."""
    held = b""
    async with aclosing(body_of(response)) as parts:
        async for part in parts:
            held += part
            if len(held) > _MOST_BYTES:
                break
    return held.decode("utf-8", "replace")
