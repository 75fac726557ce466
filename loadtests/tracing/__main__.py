"""python -m loadtests.tracing"""

from loadtests.tracing.bench import main

main()
