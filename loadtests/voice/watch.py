"""The processes of a system under load: what they hold, and whether they stay."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

REPLICAS: Final = ("Gateway", "SpeechToText")
_SAMPLE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What the processes hold, so many seconds after the beginning. Sums over replicas."""

    at_s: float
    rss_mb: dict[str, float]
    fds: dict[str, int]


class Watch:
    """Looks at the replicas of the system whose home this is; None: there is none to look at."""

    def __init__(self, home: Path | None) -> None:
        self.samples: list[Sample] = []
        self.gone: list[str] = []
        """Who was there once and is not any more, and when that was seen."""
        self._home = home
        self._began_s = monotonic()
        self._known: dict[Path, str] = {}

    async def run(self) -> None:
        """Take samples, until cancelled."""
        while self._home is not None:
            self.samples.append(self.look())
            await asyncio.sleep(_SAMPLE_S)

    def look(self) -> Sample:
        """What they hold now; and who has gone since the last look."""
        at_s = round(monotonic() - self._began_s, 1)
        rss, fds = dict.fromkeys(REPLICAS, 0.0), dict.fromkeys(REPLICAS, 0)
        present: dict[Path, str] = {}
        for name, process in _replicas(self._home) if self._home else ():
            try:
                pages = int((process / "statm").read_text().split()[1])
                fds[name] += len(os.listdir(process / "fd"))
            except OSError:
                continue  # it has just gone away
            rss[name] += pages * os.sysconf("SC_PAGE_SIZE") / 2**20
            present[process] = name
        for process, name in self._known.items():
            if process not in present:
                self.gone.append(f"{name} (process {process.name}), seen after {at_s:g} s")
        self._known = present
        return Sample(at_s, rss, fds)


def _replicas(home: Path) -> Iterator[tuple[str, Path]]:
    """The processes of the system whose home this is, and no others'."""
    wanted = f"RHAPSODE_HOME={home}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            title = (process / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
            is_ours = title.startswith("ray::ServeReplica") and wanted in (process / "environ").read_bytes()
        except OSError:
            continue  # it is gone, or not ours to look at
        name = title.rpartition(":")[2].partition(".")[0]  # asked something: "Gateway.check_health"
        if is_ours and name in REPLICAS:
            yield name, process
