"""Registered genotypes, and genotypes as responses."""
