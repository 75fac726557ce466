"""`python -m loadtests.load.curve`: quality under load, on a running system or on one of its own."""

import signal
import sys

from loadtests.load.curve.command import main

signal.signal(signal.SIGTERM, signal.default_int_handler)  # whatever ends it, its system ends as well
sys.exit(main())
