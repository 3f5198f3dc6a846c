"""Jobs beside each other: read in `gather`, compared by pure functions, written as tables."""
