"""The commands of `dartboard bench`, one module each."""
