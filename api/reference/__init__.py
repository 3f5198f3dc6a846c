"""Serves the interactive API documentation at /docs: Swagger UI from an installed package, without other origins."""
