"""The Python SDK and the `dartboard` command."""
