"""Defines the networks: candidate operations, supernet, evaluation network and language models."""
