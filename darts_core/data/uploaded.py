"""Finds the uploaded set that a spec uses. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from darts_core.data.text.catalogue import is_uploaded_text


def uploaded_checksum(spec: Mapping[str, Any]) -> str | None:
    """The checksum of the uploaded images or text that a resolved spec names, if any."""
    if spec.get("family") != "rnn":
        return spec.get("dataset_checksum")
    return spec.get("text_checksum") if is_uploaded_text(spec["dataset"]) else None
