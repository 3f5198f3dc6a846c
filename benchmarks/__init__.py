"""Benchmarks of `dartboard bench`, each measured against a baseline in the same run."""
