"""What cluster/kubernetes says: rendered as kustomize would, and looked at before a cluster has to."""
