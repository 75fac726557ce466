"""Tests of pipeline/admission/."""
