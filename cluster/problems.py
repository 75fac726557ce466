"""What goes wrong on a command line, said in one sentence with what to do next."""

from typing import Final

FAILED: Final = 1
MISUSED: Final = 2
NOT_RUNNING: Final = 3


class CliError(Exception):
    """Shown without a traceback; ends the program with `status`."""

    def __init__(self, message: str, advice: str = "", *, status: int = FAILED) -> None:
        super().__init__(message)
        self.advice = advice
        self.status = status


class NotRunning(CliError):
    def __init__(self) -> None:
        super().__init__("Rhapsode is not running.", "Start it with: rhapsode up", status=NOT_RUNNING)
