"""Tells what each result was made of."""
