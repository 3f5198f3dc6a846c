"""Who is asking, and what they may: keys, sessions, roles, limits, and the record of what was done."""
