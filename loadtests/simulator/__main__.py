"""`python -m loadtests.simulator`."""

from loadtests.simulator.command import main

main()
