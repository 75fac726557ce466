"""The functions that the log's servers have of us."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

LIBRARY: Final = files("pipeline.log").joinpath("append.lua").read_text("utf-8")
LIBRARY_NAME: Final = "rhapsode2"
WORKERS: Final = files("pipeline.log").joinpath("workers.lua").read_text("utf-8")
ARCHIVE: Final = files("pipeline.log").joinpath("archive.lua").read_text("utf-8")
LIMITS: Final = files("pipeline.log").joinpath("limits.lua").read_text("utf-8")
LIBRARIES: Final[Mapping[str, str]] = {
    LIBRARY_NAME: LIBRARY,
    "rhapsode_workers1": WORKERS,
    "rhapsode_archive2": ARCHIVE,
    "rhapsode_limits1": LIMITS,
}
"""Every library of server functions, by name.

Released code keeps its name and never changes: during a rollout two versions share one server.
"""
