"""`python -m loadtests`: the benchmark."""

import signal
import sys

from loadtests.bench.command import main

# Who is told to stop tells what is known, and stops the servers.
signal.signal(signal.SIGTERM, signal.default_int_handler)
sys.exit(main())
