"""`python -m loadtests.faces`."""

from loadtests.faces.bench import main

main()
