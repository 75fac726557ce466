"""A chat's request, as `useChat` sends it (npm `ai`, version 7: `HttpChatTransport`, `UIMessage`)."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from schemas.bounds import FewFields
from schemas.native.client_commands import Readable, SettingsPatch

ChatId = Annotated[str, Field(pattern=r"^[\w.:~-]{1,128}$")]
"""A client's own name for a chat, or the id of a session."""
_MESSAGES: Final = 1_000
_PARTS: Final = 2_000
_WORDS: Final = frozenset({"text"})


class _Read(BaseModel):
    """Pages put fields of their own into messages: those that mean nothing here are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class UiPart(_Read):
    """A part of a message: text, a call, a file, and what a page is shown beside them."""

    type: Annotated[str, Field(max_length=200)]
    text: Readable = ""
    tool_call_id: Annotated[str, Field(max_length=200)] = ""
    state: str = ""
    output: Any = None
    error_text: str = ""

    @property
    def called(self) -> bool:
        """It is a call that the page has made: its output is known, or its error."""
        tool = self.type == "dynamic-tool" or self.type.startswith("tool-")
        return tool and self.state in ("output-available", "output-error")


class UiMessage(_Read):
    id: Annotated[str, Field(max_length=200)] = ""
    role: Literal["system", "user", "assistant"]
    parts: Annotated[tuple[UiPart, ...], Field(max_length=_PARTS, fail_fast=True)]

    @property
    def words(self) -> str:
        return "\n".join(part.text for part in self.parts if part.type in _WORDS).strip()


class UiChatRequest(FewFields):
    """Fields that `useChat` sends, and `settings`, which a page may put into its transport's `body`."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    id: ChatId
    messages: Annotated[tuple[UiMessage, ...], Field(max_length=_MESSAGES, fail_fast=True)] = ()
    """The whole chat, or its last messages: the last one is answered."""
    message: UiMessage | None = None
    """Instead of `messages`: the last one alone."""
    trigger: Literal["submit-message", "regenerate-message"] = "submit-message"
    message_id: Annotated[str, Field(max_length=200)] | None = None
    """The message that is answered anew, or that was edited."""
    settings: SettingsPatch = Field(default_factory=SettingsPatch)
    """Settings of this turn that differ from the session's."""

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if bool(self.messages) == (self.message is not None):
            raise ValueError('give either "messages" or "message"')
        return self

    @property
    def known(self) -> tuple[UiMessage, ...]:
        """The messages that the request brings."""
        return self.messages if self.message is None else (self.message,)
