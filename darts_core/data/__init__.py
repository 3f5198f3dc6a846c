"""Data sets: what is known of them without opening them (catalogue), and their arrays."""
