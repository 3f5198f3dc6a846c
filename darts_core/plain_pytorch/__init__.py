"""Writes trained networks as plain PyTorch modules. Imports no torch."""
