"""Receives uploaded data sets, checks and packs them in a child process and serves them to workers by checksum."""
