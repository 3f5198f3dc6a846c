"""Tells other programs what happened to jobs: signed requests, at least once."""
