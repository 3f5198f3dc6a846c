"""The two nested optimisations of a search: alphas on validation data, weights on training data."""
