"""One module per wire protocol: routes plus a translator, and nothing else."""
