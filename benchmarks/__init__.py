"""Measurements behind `dartboard bench`, each against a baseline in the same run."""
