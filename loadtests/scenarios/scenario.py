"""The interface of a scenario, and the options of all."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtests.client.recorded_speech import Clip
from loadtests.client.virtual_caller import VirtualCaller


@dataclass(frozen=True, slots=True)
class ScenarioOptions:
    """Options of the command line for what callers do."""

    turns: int = 3
    think_s: float = 4.0
    listen: bool = True
    """Answers are listened to in real time; else the next question follows at once."""
    pages: int = 100
    listeners: int = 20
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of every session."""
    recordings: tuple[Clip, ...] = ()


Scenario = Callable[[VirtualCaller], Awaitable[None]]
"""Behaviour of one caller, from coming to leaving. Raises Refused, Failed or TimeoutError; whatever was heard
until then is kept."""
