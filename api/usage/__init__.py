"""Accounts for what jobs have taken of the fleet."""
