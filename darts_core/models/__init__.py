"""The networks: candidate operations, the search network, the evaluation network."""
