"""Ensembles: what several trained networks say together, how good that is, and one file that holds them all."""
