"""Audio inputs: opened, logged, recovered and closed."""
