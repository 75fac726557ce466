"""Tests of loadtests/bench/."""
