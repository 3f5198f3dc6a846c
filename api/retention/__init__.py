"""Clears checkpoints of ended jobs by rules, and files without a row; tells what files take of the disk."""
