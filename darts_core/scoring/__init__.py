"""Measures trained networks on test data."""
