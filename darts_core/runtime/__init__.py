"""Serves every process of Dartboard: version, logs, child processes, the GPUs of the machine. Imports no torch."""
