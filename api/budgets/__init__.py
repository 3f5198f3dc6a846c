"""Limits what an owner's jobs take of the fleet in a month."""
