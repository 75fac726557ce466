"""Tests of loadtests/report/."""
