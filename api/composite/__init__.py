"""Runs composite jobs: studies and committees. No worker claims them; `driver.py` advances them."""
