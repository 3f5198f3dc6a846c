"""Ensembles: combine trained networks, measure the combination, and save it as one file."""
