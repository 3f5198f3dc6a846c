"""What trained networks are measured against, and that takes no training: models by counting."""
