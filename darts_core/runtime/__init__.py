"""Shared by every Dartboard process: version, logs, child processes, the machine's GPUs. Imports no torch."""
