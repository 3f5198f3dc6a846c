"""Defines requests and responses in pure pydantic, shared with the client and the workers."""
