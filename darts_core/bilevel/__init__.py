"""Implements the bilevel optimisation of a search: alphas on validation data, weights on training data."""
