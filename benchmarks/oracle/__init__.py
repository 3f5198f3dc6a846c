"""Measures search methods by cells whose true accuracy is known: the table of NAS-Bench-201 (arXiv:2001.00326)."""
