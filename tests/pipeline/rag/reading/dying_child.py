"""As the reader's child, but dies as often as the folder in its environment has files, each time one less."""

import os
import signal
from pathlib import Path

from pipeline.rag.reading import reader_process

DEATHS = "DEATHS_OF_A_READER"

if __name__ == "__main__":
    deaths = sorted(Path(os.environ[DEATHS]).iterdir())
    if deaths:
        deaths[0].unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    reader_process.main()
