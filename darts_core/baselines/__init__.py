"""Baselines for trained networks that need no training: models by counting."""
