"""`python -m loadtests`: the benchmark."""

import sys

from loadtests.bench.command import main

sys.exit(main())
