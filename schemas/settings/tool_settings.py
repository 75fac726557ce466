"""Functions that this server calls for the language model, as the operator registers them."""

import re
from typing import Annotated, Final, NamedTuple, Self

from pydantic import AfterValidator, Field, JsonValue, SecretStr, model_validator

from schemas.document_models import ClosedModel
from schemas.languages import LanguageTag
from schemas.settings.model_settings import FunctionName
from schemas.settings.provider_settings import plain_address

Filler = Annotated[str, Field(max_length=200)]
Fillers = dict[LanguageTag, Filler]
_NAME_CHARS: Final = 64
FILLERS: Final[Fillers] = {"en": "One moment, please.", "de": "Einen Moment, bitte."}


def _checked(url: str) -> str:
    plain_address(url.partition("?")[0])
    return url


ToolAddress = Annotated[str, AfterValidator(_checked)]
"""Address without user name and password; a query may follow."""


class RegisteredFunction(ClosedModel):
    """One function: somewhere at an address, or in a Python package beside ours."""

    url: ToolAddress | None = None
    """Gets `POST` with {"call", "name", "arguments", "session"} and the header `Idempotency-Key`, which is
    the same when a call is made again after a crash; its answer's body is the result."""
    entry_point: str | None = Field(default=None, pattern=r"^[\w.]+:[\w.]+$")
    """`package.module:function`, plain or async. Its parameters are the arguments, its result is told."""
    description: str = Field(default="", max_length=2_000)
    """Description for the model; empty: the Python function's docstring."""
    parameters: dict[str, JsonValue] | None = None
    """A JSON schema of the arguments; None: from the Python function's annotations, or none at all."""
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    headers: dict[str, SecretStr] = {}
    """Sent to `url`, as a key."""
    filler: Fillers | None = None
    """Spoken text while it takes long, by language; None: as for all."""
    asynchronous: bool = False
    """The answer does not wait for its result, which is told in a turn of its own when it is there."""

    @model_validator(mode="after")
    def _is_in_one_place(self) -> Self:
        if (self.url is None) == (self.entry_point is None):
            raise ValueError("give either url or entry_point")
        return self


McpToolName = Annotated[str, Field(min_length=1, max_length=128)]


class RegisteredMcpServer(ClosedModel):
    """One MCP server, whose tools are functions of sessions: a program beside a gateway, or an address."""

    command: tuple[str, ...] | None = None
    """Program and arguments, spoken to over its standard input and output; it ends with its gateway."""
    url: ToolAddress | None = None
    """Address of its streamable HTTP."""
    tools: tuple[McpToolName, ...] = Field(min_length=1, max_length=64)
    """Tools of it that sessions may use, by their own names; all others are refused."""
    principals: tuple[str, ...] = ()
    """Principals whose turns may use them; empty: everybody's."""
    timeout_s: float = Field(default=30.0, gt=0, le=600)
    """Longest call."""
    connect_s: float = Field(default=10.0, gt=0, le=120)
    """Longest start; a turn waits for it when it is the first to need the server."""
    answer_bytes: int = Field(default=4_000_000, ge=1_000, le=64_000_000)
    """Longest message of the server; a longer one ends the connection."""
    headers: dict[str, SecretStr] = {}
    """Sent to `url`, as a key."""
    env: dict[str, SecretStr] = {}
    """Variables of `command`, beside PATH, HOME and the like."""
    filler: Fillers | None = None
    """Spoken text while a tool takes long, by language; None: as for all."""
    asynchronous: tuple[McpToolName, ...] = Field(default=(), max_length=64)
    """Those of `tools` whose results an answer does not wait for."""

    @model_validator(mode="after")
    def _is_in_one_place(self) -> Self:
        if (self.url is None) == (not self.command):
            raise ValueError("give either command or url")
        if unknown := set(self.asynchronous) - set(self.tools):
            raise ValueError(f"asynchronous names {min(unknown)!r}, which is not among the tools")
        return self


class McpTool(NamedTuple):
    """A tool of an MCP server: the server's name in the settings, and the tool's own."""

    server: str
    tool: str


class ToolRegistrySettings(ClosedModel):
    """Functions that a model may call, and their bounds."""

    functions: dict[FunctionName, RegisteredFunction] = {}
    """By the names that models and sessions use (`session.tools.registered`)."""
    mcp_servers: dict[Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,32}$")], RegisteredMcpServer] = {}
    """By their names here: a tool is the function `<server>_<tool>`, with `_` for what names may not hold."""
    rounds: int = Field(default=4, ge=1, le=32)
    """So often the model may ask for calls within one answer; then it has to answer with what it has."""
    at_once: int = Field(default=8, ge=1, le=64)
    """Calls of one answer that run side by side; the others wait."""
    calls: int = Field(default=16, ge=1, le=64)
    """Calls of one round; the model is told that further ones were not made."""
    filler_after_ms: int = Field(default=800, ge=0, le=60_000)
    """A spoken answer says something when calls take longer."""
    fillers: Fillers = FILLERS
    """Spoken text, by language; empty: none."""

    @property
    def mcp_tools(self) -> dict[str, McpTool]:
        """Tools of MCP servers, by the names that models and sessions use."""
        return {
            function_name(server, tool): McpTool(server, tool)
            for server, registered in self.mcp_servers.items()
            for tool in registered.tools
        }

    @property
    def names(self) -> tuple[str, ...]:
        """All functions that sessions may name."""
        return (*self.functions, *self.mcp_tools)

    @property
    def asynchronous(self) -> Self:
        """The asynchronous functions and tools alone, which the workers call."""
        servers = {
            name: one.model_copy(update={"tools": one.asynchronous})
            for name, one in self.mcp_servers.items()
            if one.asynchronous
        }
        functions = {name: one for name, one in self.functions.items() if one.asynchronous}
        return self.model_copy(update={"functions": functions, "mcp_servers": servers})

    @property
    def reserved(self) -> dict[str, tuple[str, ...]]:
        """Functions that are there for some principals alone."""
        only = {name: self.mcp_servers[place.server].principals for name, place in self.mcp_tools.items()}
        return {name: principals for name, principals in only.items() if principals}

    @model_validator(mode="after")
    def _names_are_used_once(self) -> Self:
        names = [
            function_name(server, tool) for server, one in self.mcp_servers.items() for tool in one.tools
        ]
        for name in names:
            if name in self.functions or names.count(name) > 1:
                raise ValueError(f"two functions have the name {name!r}")
        return self


def function_name(server: str, tool: str) -> str:
    """Name of an MCP server's tool as a function: at most 64 characters that models understand."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", f"{server}_{tool}")[:_NAME_CHARS]
