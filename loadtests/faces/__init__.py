"""What each face adds: first words, every further one, first sound; beside the native face and a floor."""
