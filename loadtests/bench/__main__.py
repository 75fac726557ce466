"""`python -m loadtests.bench`: did anything get worse? (`python -m loadtests` measures and tells.)"""

import sys

from loadtests.bench.check import main

sys.exit(main())
