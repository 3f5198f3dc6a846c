"""Checkpoints that people bring along, and checkpoints in other formats. Without torch."""
