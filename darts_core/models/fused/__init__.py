"""Computes a cell of the supernet per source state instead of per edge and operation."""
