"""Defines recurrent cells and their language models."""
