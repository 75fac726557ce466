"""Ctrl-C and SIGTERM as one wish that cannot get lost; SIGHUP as the wish to read the configuration again."""

import signal
import threading
from types import FrameType


class StopSignals:
    """Raises KeyboardInterrupt when asked to stop, and remembers it in case somebody swallows that."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._reload = threading.Event()
        self._changed = threading.Event()
        self.take()
        signal.signal(signal.SIGHUP, self._ask_to_reload)

    def wait(self, seconds: float) -> bool:
        """Return when there is a wish, or after so long; True: to stop."""
        self._changed.wait(seconds)
        self._changed.clear()
        return self.asked.is_set()

    def take_reload(self) -> bool:
        """Whether the configuration should be read again; asked for once, told once."""
        wanted = self._reload.is_set()
        self._reload.clear()
        return wanted

    def take(self) -> None:
        """From now on both signals come here; again after starting something that takes them for itself.

        Also where SIGINT was ignored, as a shell does for what it runs in the background.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked.set()
        self._changed.set()
        raise KeyboardInterrupt

    def _ask_to_reload(self, number: int, frame: FrameType | None) -> None:
        self._reload.set()
        self._changed.set()
