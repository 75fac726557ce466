"""Ctrl-C and SIGTERM as one wish that cannot get lost."""

import signal
import threading
from types import FrameType


class StopSignals:
    """Raises KeyboardInterrupt when asked to stop, and remembers it in case somebody swallows that."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.take()

    def take(self) -> None:
        """From now on both signals come here; again after starting something that takes them for itself.

        Also where SIGINT was ignored, as a shell does for what it runs in the background.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked.set()
        raise KeyboardInterrupt
