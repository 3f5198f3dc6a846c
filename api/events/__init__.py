"""The append-only event log of each job, and the streams that follow it."""
