"""`python -m cluster.documents`: writes every file that follows from the code.

`--check` writes nothing, and its exit status is 1 where a file is not current.
"""

import json
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from cluster.observability.dashboard import dashboard
from cluster.observability.metrics_document import document
from deployments.asgi_app import create_app
from deployments.container import GatewayContainer
from schemas import export
from schemas.documents import event_types, parameter_document
from schemas.settings.limit_settings import LimitSettings

ROOT: Final = Path(__file__).resolve().parents[1]
PARAMETERS: Final = "docs/openai.md"


@asynccontextmanager
async def never_started() -> AsyncGenerator[GatewayContainer, None]:
    """For an application that only describes itself."""
    raise RuntimeError("this application is only described, never run")
    yield


def openapi() -> dict[str, Any]:
    return create_app(never_started, body_bytes=LimitSettings().body_bytes).openapi()


def files() -> dict[str, str]:
    """Every file by its path in the checkout, with what belongs in it."""
    documents = {"openapi.json": openapi(), **export.documents()}
    return {
        **{f"docs/{name}": export.written(one) for name, one in documents.items()},
        PARAMETERS: parameter_document.written((ROOT / PARAMETERS).read_text(encoding="utf-8")),
        "clients/javascript/events.d.ts": event_types.declarations(),
        "cluster/observability/dashboards/rhapsode.json": json.dumps(dashboard(), indent=1) + "\n",
        "docs/metrics.md": document(),
    }


def main(arguments: Sequence[str]) -> int:
    check = "--check" in arguments
    found = export.stale({ROOT / name: text for name, text in files().items()}, write=not check)
    for file in found:
        word = "is out of date: run make schemas" if check else "written"
        sys.stdout.write(f"{file.relative_to(ROOT)} {word}\n")
    return 1 if check and found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
