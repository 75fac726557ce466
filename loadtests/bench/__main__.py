"""`python -m loadtests.bench`: did anything get worse? (`python -m loadtests` measures and tells.)"""

import signal
import sys

from loadtests.bench.check import main

# Who is told to stop tells what is known, and stops the servers.
signal.signal(signal.SIGTERM, signal.default_int_handler)
sys.exit(main())
