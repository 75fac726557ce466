"""Tests of loadtests/chaos/."""
