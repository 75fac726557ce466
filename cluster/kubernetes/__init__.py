"""Manifests of cluster/kubernetes: rendered as kustomize would, and checked before a cluster gets them."""
