"""Appends to each job's event log and streams it to subscribers."""
