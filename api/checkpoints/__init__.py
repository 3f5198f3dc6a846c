"""Receives uploaded checkpoints and converts checkpoints to other formats, without torch."""
