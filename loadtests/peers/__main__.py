"""`python -m loadtests.peers`: the race."""

from loadtests.peers.race import main

main()
