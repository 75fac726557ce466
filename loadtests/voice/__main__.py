"""`python -m loadtests.voice`: the benchmark of the voice path."""

from loadtests.voice.bench import main

main()
