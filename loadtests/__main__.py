"""`python -m loadtests`: the benchmark."""

from loadtests.bench.command import main

main()
