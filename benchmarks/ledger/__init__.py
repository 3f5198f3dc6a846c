"""Compares search methods over seeds at equal cost: stored results, intervals, and the table of docs/results.md."""
