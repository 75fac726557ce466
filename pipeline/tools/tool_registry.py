"""All functions that this server calls: found by name, checked, bounded in time and in what they say."""

import importlib
import inspect
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
import httpx
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from pipeline.core.task_scope import TaskScope
from pipeline.core.texts import joined
from pipeline.engines.ports import Function
from pipeline.tools.remote_functions import RemoteFunction, ToolCallContext, pseudonym
from schemas.errors import ToolArguments, ToolError, ToolTimeout, ToolTooMany, ToolUnknown
from schemas.errors.access_errors import LimitReached
from schemas.languages import primary
from schemas.settings.model_settings import DESCRIPTION_CHARS, OUTPUT_CHARS
from schemas.settings.tool_settings import RegisteredFunction, RegisteredMcpServer, ToolRegistrySettings

if TYPE_CHECKING:
    from pipeline.tools.mcp_connection import McpConnection


class PythonFunction:
    """A function of a package beside ours. A plain one runs in a thread, an async one in the event loop.

    Raises ValueError when made, for a place where there is none, or whose annotations say nothing.
    """

    def __init__(self, place: str, threads: anyio.CapacityLimiter) -> None:
        self._function = _found(place)
        self._threads = threads
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(self._function)  # type: ignore[arg-type]
            schema = self._adapter.json_schema()
        except (PydanticUserError, TypeError) as error:
            raise ValueError(
                f"{place}: what it takes cannot be told from its annotations: {error}"
            ) from error
        if schema.get("type") != "object":
            raise ValueError(f"{place} takes arguments without names; models give names only")
        self.parameters: Mapping[str, Any] = schema
        self.description = inspect.getdoc(self._function) or ""

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """Raises ToolArguments, or ToolError with what it raised."""
        try:
            if inspect.iscoroutinefunction(self._function):
                result = await self._adapter.validate_python(dict(arguments))
                return await anyio.to_thread.run_sync(_as_text, result)
            work = partial(self._in_thread, dict(arguments))
            return await anyio.to_thread.run_sync(work, limiter=self._threads, abandon_on_cancel=True)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise ToolArguments(f"{where}: {first['msg']}") from error
        except ToolError:
            raise
        except Exception as error:  # any error of a foreign function is told to the model
            raise ToolError(f"it failed: {type(error).__name__}: {error}") from error

    def _in_thread(self, arguments: Mapping[str, Any]) -> str:
        return _as_text(self._adapter.validate_python(arguments))


def _as_text(result: Any) -> str:
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)


def _found(place: str) -> Callable[..., Any]:
    module, _, name = place.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"there is no {place}: {error}") from error
    if not callable(found):
        raise ValueError(f"{place} is no function")  # noqa: TRY004 - a wrong setting
    return found  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class BuiltInFunction:
    """A function of this server itself, which acts on the session that calls it."""

    description: str
    parameters: Mapping[str, Any]
    act: Callable[[Mapping[str, Any], ToolCallContext], Awaitable[str]]

    async def call(self, call: str, arguments: Mapping[str, Any], about: ToolCallContext) -> str:
        """Raises ToolArguments or ToolError."""
        return await self.act(arguments, about)


_THREADS: Final = 8
_BUILT_IN_S: Final = 10.0
_CONNECT_S: Final = 3.0
_MCP: Final = "pipeline.tools.mcp_connection"


@dataclass(frozen=True, slots=True)
class ToolResult:
    """Result of a function; `cut`: the result was longer."""

    output: str
    cut: bool


class ToolRegistry(TaskScope):
    """Calls registered functions. Raises ValueError when made, naming a function that cannot be had.

    A context manager where there are MCP servers: their connections end with it.
    """

    def __init__(
        self, settings: ToolRegistrySettings, charge: Callable[[str], Awaitable[None]] | None = None
    ) -> None:
        """`charge` is asked before an asynchronous function is started for a principal, and refuses by
        raising."""
        super().__init__()
        self.settings = settings
        self._charge = charge
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(None, connect=_CONNECT_S), follow_redirects=False
        )
        self._threads = anyio.CapacityLimiter(_THREADS)
        self._functions: dict[str, PythonFunction | RemoteFunction | BuiltInFunction] = {
            name: self._opened(name, registered) for name, registered in settings.functions.items()
        }
        self._tools = settings.mcp_tools
        self._servers: dict[str, McpConnection] = {}
        self._allowed = {
            name: frozenset(map(pseudonym, server.principals))
            for name, server in settings.mcp_servers.items()
            if server.principals
        }

    def _opened(self, name: str, registered: RegisteredFunction) -> PythonFunction | RemoteFunction:
        try:
            if registered.entry_point is None:
                return RemoteFunction(name, registered, self._http)
            return PythonFunction(registered.entry_point, self._threads)
        except Exception as error:  # jsonschema has its own for a schema that is none
            raise ValueError(f"tools.functions.{name}: {error}") from error

    def build_in(self, functions: Mapping[str, BuiltInFunction]) -> None:
        """Adds functions; one that the operator registered under the same name stays."""
        self._functions = {**functions, **self._functions}

    @property
    def names(self) -> tuple[str, ...]:
        return (*self._functions, *self._tools)

    def allowed(self, names: Iterable[str], principal: str) -> tuple[str, ...]:
        """Those of these functions that are there for a principal (see `pseudonym`)."""
        found = []
        for name in names:
            tool = self._tools.get(name)
            only = None if tool is None else self._allowed.get(tool.server)
            if name in self._functions or (tool is not None and (only is None or principal in only)):
                found.append(name)
        return tuple(found)

    async def ready(self, names: Iterable[str]) -> None:
        """Returns when the MCP servers of these functions are connected, or cannot be."""
        servers = {self._tools[name].server for name in names if name in self._tools}
        if not servers:  # a task group would let the model wait for the append that goes out meanwhile
            return
        async with anyio.create_task_group() as group:
            for server in servers:
                group.start_soon(self._reach, server)

    async def _reach(self, name: str) -> None:
        await (await self._server(name)).ready(self.spawn)

    async def _server(self, name: str) -> "McpConnection":
        """The SDK is imported for the first server that is needed: it takes 0.7 s and 24 MB."""
        if name not in self._servers:
            module = await anyio.to_thread.run_sync(importlib.import_module, _MCP)
            if name not in self._servers:
                self._servers[name] = module.McpConnection(name, self.settings.mcp_servers[name])
        return self._servers[name]

    def offers(self, names: Iterable[str]) -> tuple[Function, ...]:
        """Descriptions for a model; names that are no longer there are passed over."""
        offered = (self._offer(name) for name in names)
        return tuple(offer for offer in offered if offer is not None)

    def _offer(self, name: str) -> Function | None:
        if name in self._functions:
            registered, function = self.settings.functions.get(name), self._functions[name]
            if registered is None:
                return Function(name, function.description, function.parameters)
            parameters = function.parameters if registered.parameters is None else registered.parameters
            return Function(name, registered.description or function.description, parameters)
        place = self._tools.get(name)
        server = None if place is None else self._servers.get(place.server)
        described = None if place is None or server is None else server.tools.get(place.tool)
        if described is None:
            return None
        return Function(name, (described.description or "")[:DESCRIPTION_CHARS], described.input_schema)

    def asynchronous(self, name: str) -> bool:
        """An answer does not wait for this function's result."""
        place, registered = self._tools.get(name), self._registered(name)
        if isinstance(registered, RegisteredFunction):
            return registered.asynchronous
        return place is not None and registered is not None and place.tool in registered.asynchronous

    async def admit(self, principal: str) -> None:
        """One more asynchronous function is about to be started. Raises ToolTooMany."""
        try:
            if self._charge is not None:
                await self._charge(principal)
        except LimitReached as error:
            raise ToolTooMany(f"this call was not made: {error}") from error

    def filler(self, names: Iterable[str], language: str) -> str:
        """Sentence that is spoken while these functions take long: the first that has one of its own."""
        for name in names:
            registered = self._registered(name)
            own = None if registered is None else registered.filler
            if own is not None and (said := _in_language(own, language)):
                return said
        return _in_language(self.settings.fillers, language)

    def _registered(self, name: str) -> RegisteredFunction | RegisteredMcpServer | None:
        place = self._tools.get(name)
        return self.settings.functions.get(name) if place is None else self.settings.mcp_servers[place.server]

    async def call(self, name: str, call: str, arguments: str, about: ToolCallContext) -> ToolResult:
        """Raises ToolUnknown, ToolArguments, ToolTimeout or ToolError."""
        if not self.allowed([name], about.principal):
            known = ", ".join(self.allowed(self.names, about.principal)) or "none"
            raise ToolUnknown(f"there is no function {name!r}; there is: {known}")
        given = _parsed(arguments)
        registered = self._registered(name)
        timeout_s = _BUILT_IN_S if registered is None else registered.timeout_s
        try:
            with anyio.fail_after(timeout_s):
                output = await self._made(name, call, given, about)
        except TimeoutError as error:
            raise ToolTimeout(f"{name} took longer than {timeout_s:g} s") from error
        except ToolError:
            raise
        except Exception as error:  # nothing that a function does may end the turn that called it
            raise ToolError(f"{name} failed: {type(error).__name__}: {error}") from error
        return ToolResult(joined(output[:OUTPUT_CHARS]), cut=len(output) > OUTPUT_CHARS)

    async def _made(self, name: str, call: str, given: Mapping[str, Any], about: ToolCallContext) -> str:
        function = self._functions.get(name)
        if isinstance(function, PythonFunction):
            return await function.call(given)
        if function is not None:
            return await function.call(call, given, about)
        server, tool = self._tools[name]
        return await (await self._server(server)).call(tool, given, self.spawn)

    async def aclose(self) -> None:
        await self._http.aclose()


def _in_language(texts: Mapping[str, str], language: str) -> str:
    """The text for a language, whatever its region; empty if there is none."""
    return next((text for tag, text in texts.items() if primary(tag) == primary(language)), "")


def _parsed(arguments: str) -> Mapping[str, Any]:
    try:
        given = json.loads(joined(arguments) or "{}", parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ToolArguments(f"the arguments are no JSON: {error}") from error
    if not isinstance(given, dict):
        raise ToolArguments("the arguments are no JSON object")
    return given


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")
