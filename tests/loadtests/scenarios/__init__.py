"""Tests of loadtests/scenarios/."""
