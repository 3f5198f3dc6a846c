"""Counts how often searches collapse, with a guard and without."""
