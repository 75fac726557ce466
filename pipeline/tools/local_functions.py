"""Python functions as tools: what they take follows from their annotations."""

import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import anyio.to_thread
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from schemas.errors.tool_errors import ToolArguments, ToolError


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
                return await anyio.to_thread.run_sync(_told, result)
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
        return _told(self._adapter.validate_python(arguments))


def _told(result: Any) -> str:
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
