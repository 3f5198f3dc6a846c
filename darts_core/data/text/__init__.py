"""Texts for language models: what is known of them, their words, and windows of them."""
