"""The interactive API documentation at /docs: Swagger UI out of an installed wheel; no other origin serves it."""
