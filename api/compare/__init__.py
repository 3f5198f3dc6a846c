"""Compares jobs side by side: loads them, compares them in pure functions and renders tables."""
