"""`python -m loadtests.load`: load on a running system, or on one of its own."""

import sys

from loadtests.load.command import main

sys.exit(main())
