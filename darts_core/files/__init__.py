"""Reads and writes files of networks: checkpoints, imports, exports."""
