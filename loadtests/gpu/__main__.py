"""`python -m loadtests.gpu`."""

from loadtests.gpu.bench import main

main()
