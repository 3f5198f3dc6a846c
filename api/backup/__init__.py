"""Copies of all that is stored: made while the service runs, and put back where there is nothing."""
