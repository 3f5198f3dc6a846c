"""Every format that a genotype is read from or written in. Imports no torch.

JSON is here; Python text, mmrazor's YAML and DOT have a module each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, overload

from darts_core.errors import GenotypeError
from darts_core.genotypes import mmrazor
from darts_core.genotypes.dot import to_dot
from darts_core.genotypes.known import KNOWN, KNOWN_RECURRENT
from darts_core.genotypes.model import FIELDS, Genotype
from darts_core.genotypes.python_text import fields_of_python, to_python
from darts_core.genotypes.recurrent import RECURRENT_FIELDS, RecurrentGenotype
from darts_core.primitives import Family

__all__ = [
    "FORMATS",
    "AnyGenotype",
    "family_of",
    "known_genotypes",
    "parse",
    "to_dot",
    "to_json",
    "to_mmrazor",
    "to_python",
]

AnyGenotype = Genotype | RecurrentGenotype

# A genotype of six nodes is under 1 kB of text, 3 kB of YAML; what is far longer is not one, and not worth parsing.
_LONGEST = 20_000
_OTHER: Final[dict[Family, Family]] = {"cnn": "rnn", "rnn": "cnn"}
_FIELDS_OF: Final[dict[Family, tuple[str, ...]]] = {"cnn": FIELDS, "rnn": RECURRENT_FIELDS}


def to_mmrazor(genotype: AnyGenotype) -> str:
    """The subnet as mmrazor's YAML. Raises GenotypeError for what the format cannot say: recurrent cells, for one."""
    if isinstance(genotype, RecurrentGenotype):
        raise GenotypeError(
            "mmrazor's subnets are of convolutional cells; write a recurrent one as python, json or dot"
        )
    return mmrazor.to_mmrazor(genotype)


def known_genotypes(family: Family) -> dict[str, Genotype] | dict[str, RecurrentGenotype]:
    """The published cells of a family, by name."""
    return KNOWN if family == "cnn" else KNOWN_RECURRENT


def to_json(genotype: AnyGenotype) -> dict[str, Any]:
    """The JSON form of docs/api.md, with the Python text beside it under `text`."""
    if isinstance(genotype, RecurrentGenotype):
        return {
            "family": "rnn",
            "recurrent": [list(e) for e in genotype.recurrent],
            "concat": list(genotype.concat),
            "text": to_python(genotype),
        }
    return {
        "family": "cnn",
        "normal": [list(e) for e in genotype.normal],
        "normal_concat": list(genotype.normal_concat),
        "reduce": [list(e) for e in genotype.reduce],
        "reduce_concat": list(genotype.reduce_concat),
        "text": to_python(genotype),
    }


# Writers of text by the format's name.
FORMATS: Final[dict[str, Callable[[AnyGenotype], str]]] = {
    "python": to_python,
    "json": lambda genotype: json.dumps(to_json(genotype)),
    "mmrazor": to_mmrazor,
    "dot": to_dot,
}


def family_of(genotype: Mapping[str, Any]) -> Family:
    """The family that a genotype's JSON form names; `cnn` where it names none."""
    return "rnn" if genotype.get("family") == "rnn" else "cnn"


@overload
def parse(value: str | dict[str, Any], family: Literal["cnn"] = "cnn") -> Genotype: ...
@overload
def parse(value: str | dict[str, Any], family: Literal["rnn"]) -> RecurrentGenotype: ...
@overload
def parse(value: str | dict[str, Any], family: Family) -> AnyGenotype: ...
def parse(value: str | dict[str, Any], family: Family = "cnn") -> AnyGenotype:
    """Read a known name, JSON (text or already decoded), Python text or, of the family cnn, mmrazor's YAML.

    The family decides which cell a name stands for; a genotype of the other one is refused. Raises GenotypeError.
    """
    if isinstance(value, dict):
        return _from_mapping(value, family)
    text = value.strip()
    known, fields = known_genotypes(family), _FIELDS_OF[family]
    if text in known:
        return known[text]
    if len(text) > _LONGEST:
        raise GenotypeError(f"a genotype has at most {_LONGEST:,} characters, this has {len(text):,}")
    if text.startswith("{"):
        try:
            return _from_mapping(json.loads(text), family)
        except (json.JSONDecodeError, RecursionError) as error:
            raise GenotypeError(f"this is not JSON: {error}") from error
    if mmrazor.is_mmrazor(text):
        _refuse_mmrazor(family)
        return mmrazor.from_mmrazor(text)
    if "Genotype" in text:
        _refuse_other_family(set(_named_fields(text)), family)
        return _from_mapping(fields_of_python(text, fields), family)
    subnet = " nor a subnet in mmrazor's YAML" if family == "cnn" else ""
    raise GenotypeError(
        f"{text[:60]!r} is neither a known name ({', '.join(known)}) nor JSON nor a text `Genotype({fields[0]}=...)`"
        f"{subnet}"
    )


def _from_mapping(value: Any, family: Family) -> AnyGenotype:
    fields = _FIELDS_OF[family]
    if not isinstance(value, dict):
        raise GenotypeError(f"expected an object with {', '.join(fields)}, got {type(value).__name__}")
    if mmrazor.is_mmrazor_mapping(value):
        _refuse_mmrazor(family)
        return mmrazor.from_mmrazor_mapping(value)
    _refuse_other_family(set(value), family)
    if missing := [f for f in fields if f not in value]:
        raise GenotypeError(f"missing: {', '.join(missing)}")
    parts = (value[f] for f in fields)
    return Genotype.of(*parts) if family == "cnn" else RecurrentGenotype.of(*parts)


def _named_fields(text: str) -> list[str]:
    """The fields of either family that a Python text names."""
    return re.findall(r"\b(normal|normal_concat|reduce|reduce_concat|recurrent|concat)\s*=", text)


def _refuse_other_family(fields: set[Any], family: Family) -> None:
    own, others = (set(_FIELDS_OF[f]) for f in (family, _OTHER[family]))
    if fields & others and not fields & own:
        raise GenotypeError(
            f"this is a genotype of family {_OTHER[family]!r}, where one of family {family!r} is wanted"
        )


def _refuse_mmrazor(family: Family) -> None:
    if family != "cnn":
        raise GenotypeError(
            "mmrazor's subnets are of convolutional cells; give a recurrent one as a name, Python or JSON"
        )
