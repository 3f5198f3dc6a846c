"""The job life: submitting, claiming, reporting, sweeping. One transition table, in life.py."""
