"""Registers genotypes and renders them as responses."""
