"""Events about what an answer rests on: passages that were looked up, functions that were called."""

from typing import Literal

from schemas.events.event_model import EventModel as _Event
from schemas.settings.model_settings import CallId
from schemas.settings.retrieval_settings import NumberedPassage, Strategy, Support


class PassagesFound(_Event):
    """Something was looked up before the model was asked; nothing found is no error."""

    type: Literal["passages.found"] = "passages.found"
    v: Literal[1] = 1
    question: str
    collections: tuple[str, ...]
    strategy: Strategy
    passages: tuple[NumberedPassage, ...]
    ms: float
    """From asking to having them."""


class PassagesFailed(_Event):
    """It could not be looked up; the model answers without."""

    type: Literal["passages.failed"] = "passages.failed"
    v: Literal[1] = 1
    question: str
    collections: tuple[str, ...]
    strategy: Strategy
    code: str
    message: str


class AnswerCited(_Event):
    """Citations of the whole answer, in the order of the text."""

    type: Literal["answer.cited"] = "answer.cited"
    v: Literal[1] = 1
    supports: tuple[Support, ...]


class ToolCalled(_Event):
    """The model wants a function called."""

    type: Literal["tool.called"] = "tool.called"
    v: Literal[1] = 1
    call: CallId
    name: str
    arguments: str
    place: Literal["server", "client"]
    """`client`: whoever asked calls it; the turn ends here."""
    round: int = 0
    """Calls of the same round were wished for together."""
    at: int = 0
    """So many characters of the answer were written before it."""


class ToolStarted(_Event):
    """A function runs beside the conversation; `tool.completed` or `tool.failed` may come after the turn."""

    type: Literal["tool.started"] = "tool.started"
    v: Literal[1] = 1
    call: CallId


class ToolCompleted(_Event):
    """A function was called here, and this is what it said."""

    type: Literal["tool.completed"] = "tool.completed"
    v: Literal[1] = 1
    call: CallId
    output: str
    ms: float
    cut: bool = False
    """It said more."""


class ToolFailed(_Event):
    """A function could not be called; the model is told why, and goes on."""

    type: Literal["tool.failed"] = "tool.failed"
    v: Literal[1] = 1
    call: CallId
    code: str
    message: str
    ms: float = 0.0
