"""Every format that a genotype is read from or written in. Imports no torch.

JSON is here; Python text, mmrazor's YAML and DOT have a module each.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from darts_core.errors import GenotypeError
from darts_core.genotypes.dot import to_dot
from darts_core.genotypes.known import KNOWN
from darts_core.genotypes.mmrazor import from_mmrazor, from_mmrazor_mapping, is_mmrazor, is_mmrazor_mapping, to_mmrazor
from darts_core.genotypes.model import FIELDS, Genotype
from darts_core.genotypes.python_text import fields_of_python, to_python

__all__ = ["FORMATS", "parse", "to_dot", "to_json", "to_mmrazor", "to_python"]

# A genotype of six nodes is under 1 kB of text, 3 kB of YAML; what is far longer is not one, and not worth parsing.
_LONGEST = 20_000


def to_json(genotype: Genotype) -> dict[str, Any]:
    """The JSON form of docs/api.md, with the Python text beside it under `text`."""
    return {
        "family": "cnn",
        "normal": [list(e) for e in genotype.normal],
        "normal_concat": list(genotype.normal_concat),
        "reduce": [list(e) for e in genotype.reduce],
        "reduce_concat": list(genotype.reduce_concat),
        "text": to_python(genotype),
    }


# Writers of text by the format's name.
FORMATS: Final[dict[str, Callable[[Genotype], str]]] = {
    "python": to_python,
    "json": lambda genotype: json.dumps(to_json(genotype)),
    "mmrazor": to_mmrazor,
    "dot": to_dot,
}


def parse(value: str | dict[str, Any]) -> Genotype:
    """Read a known name, JSON (text or already decoded), Python text or mmrazor's YAML. Raises GenotypeError."""
    if isinstance(value, dict):
        return _from_mapping(value)
    text = value.strip()
    if text in KNOWN:
        return KNOWN[text]
    if len(text) > _LONGEST:
        raise GenotypeError(f"a genotype has at most {_LONGEST:,} characters, this has {len(text):,}")
    if text.startswith("{"):
        try:
            return _from_mapping(json.loads(text))
        except (json.JSONDecodeError, RecursionError) as error:
            raise GenotypeError(f"this is not JSON: {error}") from error
    if is_mmrazor(text):
        return from_mmrazor(text)
    if "Genotype" in text:
        return _from_mapping(fields_of_python(text))
    raise GenotypeError(
        f"{text[:60]!r} is neither a known name ({', '.join(KNOWN)}) nor JSON nor a text `Genotype(normal=...)` "
        "nor a subnet in mmrazor's YAML"
    )


def _from_mapping(value: Any) -> Genotype:
    if not isinstance(value, dict):
        raise GenotypeError(f"expected an object with {', '.join(FIELDS)}, got {type(value).__name__}")
    if is_mmrazor_mapping(value):
        return from_mmrazor_mapping(value)
    if missing := [f for f in FIELDS if f not in value]:
        raise GenotypeError(f"missing: {', '.join(missing)}")
    return Genotype.of(*(value[f] for f in FIELDS))
