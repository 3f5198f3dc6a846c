"""Manages the lifecycle of jobs: submission, claims, reports and sweeps, with one transition table in
state_machine.py.
"""
