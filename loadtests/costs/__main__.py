"""`python -m loadtests.costs`: the table of costs."""

from loadtests.costs.measure import main

main()
