"""Why a function could not be called. None of these ends a turn: the model is told, and goes on."""

from schemas.errors import RhapsodeError


class ToolError(RhapsodeError):
    """It was called, and failed."""

    code = "tool.failed"


class ToolUnknown(ToolError):
    code = "tool.unknown"


class ToolArguments(ToolError):
    """The arguments that the model wrote are not what the function takes."""

    code = "tool.arguments"


class ToolTimeout(ToolError):
    code = "tool.timeout"


class ToolTooMany(ToolError):
    code = "tool.too_many"
