"""The cell of the search network, computed per source state rather than per edge and operation; the same numbers."""
