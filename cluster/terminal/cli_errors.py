"""Errors of the command line: one sentence with advice."""

from typing import Final

FAILED: Final = 1
MISUSED: Final = 2
NOT_RUNNING: Final = 3

ADVICE: Final = {
    "auth.required": "Use --key or RHAPSODE_KEY; rhapsode keys create makes a key.",
    "auth.invalid": "See rhapsode keys list.",
    "auth.expired": "Make a new key: rhapsode keys create.",
    "auth.forbidden": "Use a key that may: rhapsode keys create --principal NAME --role admin makes one.",
    "session.not_found": "The page's history lists yours; what is another principal's is not there.",
    "collection.not_found": "rhapsode documents list shows yours; what is another principal's is not there.",
    "quota.collections": "Remove one: rhapsode documents remove --all --collection NAME.",
    "quota.documents": "Remove some, or use another collection; retrieval.quotas in serve_config.yaml.",
    "quota.bytes": "Remove some, or use another collection; retrieval.quotas in serve_config.yaml.",
    "sound.unreadable": "Anything that FFmpeg reads will do; raw samples need a header first, as in .wav.",
    "body.too_large": "Cut it, or allow more: limits.upload_bytes in serve_config.yaml.",
    "input.too_long": "Cut it, or allow more: limits in serve_config.yaml.",
}
"""Advice about a server's refusal, by its code."""


class CliError(Exception):
    """Shown without a traceback; ends the program with `status`."""

    def __init__(self, message: str, advice: str = "", *, status: int = FAILED) -> None:
        super().__init__(message)
        self.advice = advice
        self.status = status


class UsageError(CliError):
    """The command line, a variable or a file asks for what cannot be."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message, advice, status=MISUSED)


class NotRunning(CliError):
    def __init__(self) -> None:
        super().__init__("Rhapsode is not running.", "Start it with: rhapsode up", status=NOT_RUNNING)
