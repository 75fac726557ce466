"""Writes the dashboard and docs/metrics.md; `--check` only says whether they are current."""

import json
import sys
from pathlib import Path
from typing import Final

from cluster.observability.dashboard import dashboard
from cluster.observability.metrics_document import document

ROOT: Final = Path(__file__).resolve().parent.parent.parent


def made() -> dict[str, str]:
    """Every file by its path, with what belongs in it."""
    return {
        "cluster/observability/dashboards/rhapsode.json": json.dumps(dashboard(), indent=1) + "\n",
        "docs/metrics.md": document(),
    }


def main() -> int:
    check = "--check" in sys.argv[1:]
    stale = [
        (ROOT / name, text)
        for name, text in made().items()
        if not (ROOT / name).exists() or (ROOT / name).read_text("utf-8") != text
    ]
    for path, text in stale:
        if not check:
            path.write_text(text, "utf-8")
        word = "is out of date: run make schemas" if check else "written"
        sys.stdout.write(f"{path.relative_to(ROOT)} {word}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
