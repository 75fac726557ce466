"""All functions that this server calls: found by name, checked, bounded in time and in what they say."""

import importlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import anyio
import anyio.to_thread
import httpx
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from pipeline.core.surrogates import joined
from pipeline.engines.ports import Function
from pipeline.tools.remote_functions import RemoteFunction, ToolCallContext
from schemas.errors.tool_errors import ToolArguments, ToolError, ToolTimeout, ToolUnknown
from schemas.languages import primary
from schemas.settings.model_settings import OUTPUT_CHARS
from schemas.settings.tool_settings import FunctionHouseSettings, RegisteredFunction


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
        except Exception as error:  # whatever somebody else's code raises is told to the model
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


_THREADS: Final = 8
_CONNECT_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class ToolResult:
    """Result of a function; `cut`: the result was longer."""

    output: str
    cut: bool


class ToolRegistry:
    """Calls registered functions. Raises ValueError when made, naming a function that cannot be had."""

    def __init__(self, settings: FunctionHouseSettings) -> None:
        self.settings = settings
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(None, connect=_CONNECT_S), follow_redirects=False
        )
        self._threads = anyio.CapacityLimiter(_THREADS)
        self._functions = {
            name: self._opened(name, registered) for name, registered in settings.functions.items()
        }

    def _opened(self, name: str, registered: RegisteredFunction) -> PythonFunction | RemoteFunction:
        try:
            if registered.entry_point is None:
                return RemoteFunction(name, registered, self._http)
            return PythonFunction(registered.entry_point, self._threads)
        except Exception as error:  # jsonschema has its own for a schema that is none
            raise ValueError(f"tools.functions.{name}: {error}") from error

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._functions)

    def offers(self, names: Iterable[str]) -> tuple[Function, ...]:
        """Descriptions for a model; names that are no longer there are passed over."""
        return tuple(self._offer(name) for name in names if name in self._functions)

    def _offer(self, name: str) -> Function:
        registered, function = self.settings.functions[name], self._functions[name]
        parameters = function.parameters if registered.parameters is None else registered.parameters
        return Function(name, registered.description or function.description, parameters)

    def filler(self, names: Iterable[str], language: str) -> str:
        """Sentence that is spoken while these functions take long: the first that has one of its own."""
        for name in names:
            own = self.settings.functions[name].filler if name in self._functions else None
            if own is not None and (said := _in_language(own, language)):
                return said
        return _in_language(self.settings.fillers, language)

    async def call(self, name: str, call: str, arguments: str, about: ToolCallContext) -> ToolResult:
        """Raises ToolUnknown, ToolArguments, ToolTimeout or ToolError."""
        function = self._functions.get(name)
        if function is None:
            known = ", ".join(self._functions) or "none"
            raise ToolUnknown(f"there is no function {name!r}; there is: {known}")
        given = _parsed(arguments)
        timeout_s = self.settings.functions[name].timeout_s
        try:
            with anyio.fail_after(timeout_s):
                if isinstance(function, PythonFunction):
                    output = await function.call(given)
                else:
                    output = await function.call(call, given, about)
        except TimeoutError as error:
            raise ToolTimeout(f"{name} took longer than {timeout_s:g} s") from error
        except ToolError:
            raise
        except Exception as error:  # nothing that a function does may end the turn that called it
            raise ToolError(f"{name} failed: {type(error).__name__}: {error}") from error
        return ToolResult(joined(output[:OUTPUT_CHARS]), cut=len(output) > OUTPUT_CHARS)

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
