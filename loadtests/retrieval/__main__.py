"""`python -m loadtests.retrieval`: the benchmark of the search in documents."""

from loadtests.retrieval.bench import main

main()
