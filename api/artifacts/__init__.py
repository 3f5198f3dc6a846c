"""Stores checkpoints and data sets in a directory or a bucket."""

from api.artifacts.errors import StoreFullError
from api.artifacts.factory import open_store
from api.artifacts.store import Artifacts, Remote, Stored

__all__ = ["Artifacts", "Remote", "StoreFullError", "Stored", "open_store"]
