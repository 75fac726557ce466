"""`rhapsode up` while it runs: what goes wrong beside the system does not end the system."""

from contextlib import suppress
from pathlib import Path
from typing import cast

import psutil
import pytest
from rich.console import Console

from cluster.local import ray_host, up
from cluster.local.stop_signals import StopSignals
from cluster.terminal import run_state
from cluster.terminal.console import Steps
from cluster.terminal.run_state import Process, RunState, StartParams

UPDATING = {"Gateway": "updating"}


class Looks:
    """As `StopSignals` of somebody who stops it after three looks; before the last one the disk has room."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._looks = 0

    def wait(self, _: float) -> bool:
        self._looks += 1
        if self._looks == 3:
            self._home.mkdir()
        return self._looks > 3

    def take_reload(self) -> bool:
        return False


class Replaced:
    """As `_Look`, of a gateway that is being replaced."""

    def __init__(self, _: str) -> None:
        """Asks nobody."""

    def take(self) -> dict[str, str]:
        return UPDATING


def test_a_full_disk_ends_nothing_and_the_state_is_noted_as_soon_as_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"  # absent, so that nothing can be noted
    state = RunState(
        launcher=Process.of(psutil.Process()), url="http://127.0.0.1:1/", application="a", ray_folder="r"
    )
    monkeypatch.setattr(ray_host, "is_alive", lambda: True)
    monkeypatch.setattr(up, "_Look", Replaced)
    full = open("/dev/full", "w", encoding="utf-8")  # noqa: SIM115 - closing it fails as well
    try:
        steps = Steps(Console(file=full))
        up._watch(home, state, steps, cast(StopSignals, Looks(home)), StartParams())
    finally:
        with suppress(OSError):
            full.close()
    noted = run_state.read(home)
    assert noted is not None
    assert noted.replicas == UPDATING
