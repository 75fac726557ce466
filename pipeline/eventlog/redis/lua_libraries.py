"""The functions that the log's servers have of us."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

LIBRARY: Final = files("pipeline.eventlog.redis").joinpath("lua/append.lua").read_text("utf-8")
LIBRARY_NAME: Final = "rhapsode2"
WORKERS: Final = files("pipeline.eventlog.redis").joinpath("lua/workers.lua").read_text("utf-8")
ARCHIVE: Final = files("pipeline.eventlog.redis").joinpath("lua/archive.lua").read_text("utf-8")
LIMITS: Final = files("pipeline.eventlog.redis").joinpath("lua/limits.lua").read_text("utf-8")
LIBRARIES: Final[Mapping[str, str]] = {
    LIBRARY_NAME: LIBRARY,
    "rhapsode_workers1": WORKERS,
    "rhapsode_archive2": ARCHIVE,
    "rhapsode_limits1": LIMITS,
}
"""Every library of server functions, by name.

Released code keeps its name and never changes: during a rollout two versions share one server.
"""
