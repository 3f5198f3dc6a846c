"""Keeps what a training was and what it gave in one file, and repeats it."""
