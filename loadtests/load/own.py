"""A system of its own: `rhapsode up` with scripted engines, paced as real ones, that repeat the question."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from loadtests.target import rhapsode

SCRIPTS: Final[dict[str, dict[str, Any]]] = {
    "language_model": {"echo": True, "delta_chars": 12, "first_delta_ms": 120, "per_delta_ms": 40},
    "text_to_speech": {"first_chunk_ms": 60, "per_chunk_ms": 20},
    "speech_to_text": {"texts": ["Please tell me a story."], "per_request_ms": 40},
}
"""What each engine does. The answer begins with the question, and so with its mark."""


@contextmanager
def own(folder: Path) -> Iterator[str]:
    """Yields its address; `folder`/home is its home."""
    environment = {}
    folder.mkdir(parents=True, exist_ok=True)
    for branch, script in SCRIPTS.items():
        path = folder / f"{branch}.json"
        path.write_text(json.dumps(script))
        environment[f"RHAPSODE_{branch.upper()}__SCRIPT"] = str(path)
    with rhapsode(folder / "home", environment=environment, scripted=True, choosy=True) as url:
        yield url
