"""Keeps credentials and what people say out of the logs of servers below us, which hold whole requests."""

import logging
import re
from typing import Final

_SECRETS: Final = (
    re.compile(r"((?:bearer[ .]|openai-insecure-api-key\.))[^\s,;\"']+", re.IGNORECASE),
    re.compile(r"(x-api-key\W+)[^\s,;\"']+", re.IGNORECASE),
    re.compile(r"\b(ek_)[\w.-]+"),
    re.compile(r"(rhapsode_[0-9a-f]{8}_)[0-9a-f]+"),
    re.compile(r"([?&](?:token|share|name|reference|query)=)[^&\s\"']+"),
)
_LOGGERS: Final = ("uvicorn.error", "uvicorn.access", "uvicorn.asgi", "websockets.server", "ray.serve")


class _Redaction(logging.Filter):
    """Lets every record pass, without what would let its reader in."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        text = redacted(said)
        if text != said:
            record.msg, record.args = text, None
        return True


_REDACTION: Final = _Redaction()


def redacted(text: str) -> str:
    for secret in _SECRETS:
        text = secret.sub(r"\1…", text)
    return text


def install() -> None:
    """For this process; once is enough, and twice changes nothing."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_REDACTION)
