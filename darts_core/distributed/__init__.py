"""Data-parallel training on several devices: one process each, with equal weights and its share of each batch."""
