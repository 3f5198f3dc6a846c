"""Loads texts for language models and cuts them into windows."""
