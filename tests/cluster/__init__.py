"""Tests of the files below a cluster: manifests and images."""
