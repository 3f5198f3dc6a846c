"""Jobs that are made of other jobs: studies and committees. No worker claims them; `driver.py` moves them on."""
