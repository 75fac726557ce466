"""What is measured: pinned names, the fold from facts to numbers, and each process's own."""
