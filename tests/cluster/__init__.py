"""What is put under a cluster: manifests and images."""
