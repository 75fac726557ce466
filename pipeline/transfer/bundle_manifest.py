"""Manifest of a bundle, and the file names that it may hold."""

import re
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT: Final = "rhapsode.session"
VERSION: Final = 1
MANIFEST: Final = "manifest.json"
EVENTS: Final = "events.jsonl"
ALLOWED: Final = re.compile(
    r"manifest\.json|events\.jsonl|audio/packets\.bin|audio/turn-\d{1,15}\.ogg|captions/turn-\d{1,15}\.(vtt|srt)"
)
_HASH: Final = r"^[0-9a-f]{64}$"


class Manifest(BaseModel):
    """manifest.json; the same session at the same place gives the same one."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal["rhapsode.session"] = FORMAT
    version: Literal[1] = VERSION
    session: str = Field(max_length=36)
    generation: str = Field(max_length=16)
    n: int = Field(ge=1)
    first: Literal[1] = 1
    last: int = Field(ge=1)
    sha256: str = Field(pattern=_HASH)
    """Of events.jsonl."""
    packets_sha256: str = Field(pattern=_HASH)
    """Of audio/packets.bin, which is there even where it is empty."""
    packets_bytes: int = Field(ge=0)
